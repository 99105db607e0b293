"""Extensions of Lambda: their processes, their API and its states."""
