"""Tests of a function, run as AWS runs it. `pytest examples/testing` from the root of the checkout."""

from pathlib import Path

import pytest

from lambent.testing.lambent_server import FunctionFailed

ORDERS = Path(__file__).parent / "orders"


@pytest.fixture(scope="module")
def orders(lambent_server):
    return lambent_server.deploy(ORDERS, name="orders", Environment={"Variables": {"CURRENCY": "CHF"}})


def test_an_order_is_added_up(orders):
    assert orders.invoke({"items": [{"price": 1.5, "count": 2}, {"price": 4}]}) == {"total": 7.0, "currency": "CHF"}


def test_the_order_is_in_the_log(orders):
    orders.invoke({"items": [{"price": 1}] * 3})
    assert "order of 3 items\n" in orders.logs()


def test_an_order_without_items_fails_as_on_aws(orders):
    with pytest.raises(FunctionFailed, match="KeyError: 'items'"):
        orders.invoke({})


def test_boto3_needs_no_settings(lambent_server, orders):
    found = lambent_server.client("lambda").get_function_configuration(FunctionName="orders")
    assert found["State"] == "Active"
    assert found["Handler"] == "app.handler"


def test_a_function_may_be_a_text(lambent_server):
    function = lambent_server.deploy("def handler(event, context):\n    return event * 2\n", name="twice")
    assert function.invoke(21) == 42


def test_an_order_that_fails_is_tried_three_times(lambent_server, orders):
    request_id = orders.send({"item": []})
    lambent_server.advance(180)
    assert "".join(orders.logs()).count(f"START RequestId: {request_id}") == 3
