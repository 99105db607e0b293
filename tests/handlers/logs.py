"""Handlers that write through `logging`."""

import logging

logger = logging.getLogger("shop.orders")
logging.warning("at import")


def levels(event, context):
    logger.debug("debug")
    logger.info("info")
    logger.warning("warning %s", 1)
    logger.error("error")
    logging.critical("critical")


def set_level(event, context):
    logging.getLogger().setLevel(logging.INFO)
    logger.info("now visible")
    logger.log(25, "between two levels")


def exception(event, context):
    try:
        raise ValueError("caught")
    except ValueError:
        logger.exception("it failed")


def several_lines(event, context):
    logger.error("one\ntwo")


def basic_config(event, context):
    logging.basicConfig(level=logging.DEBUG, format="%(message)s")
    logger.info("info")
    return [len(logging.getLogger().handlers), logging.getLogger().level]


def extra(event, context):
    logger.warning("with fields", extra={"order": 7, "when": object, "requestId": "mine"})
    logger.warning({"a": "dict"})
    logger.warning("stack", stack_info=False)


def handler_kind(event, context):
    handler = logging.getLogger().handlers[0]
    return [type(handler).__name__, hasattr(handler, "log_sink"), handler.level]


def propagates(event, context):
    logger.addHandler(logging.NullHandler())
    logger.warning("once")


def to_context(event, context):
    context.log("raw")


def fails(event, context):
    logger.error("before")
    raise RuntimeError("after")
