"""Adds up an order."""

import os


def handler(event, context):
    total = sum(item["price"] * item.get("count", 1) for item in event["items"])
    print(f"order of {len(event['items'])} items")
    return {"total": round(total, 2), "currency": os.environ.get("CURRENCY", "EUR")}
