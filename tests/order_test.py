"""The order that tests are taken in."""

from types import SimpleNamespace

import pytest

from tests.conftest import Order


@pytest.mark.parametrize("rotate, expected", [(0, "abcde"), (2, "cdeab"), (12, "cdeab"), (45_993_834, "eabcd")])
def test_tests_begin_with_the_one_asked_for_and_those_not_finished_are_named(rotate, expected):
    items, lines = [SimpleNamespace(nodeid=name) for name in "abcde"], []
    order = Order()
    order.pytest_collection_modifyitems(SimpleNamespace(getoption={"rotate": rotate, "collectonly": False}.get), items)
    assert "".join(item.nodeid for item in items) == expected
    for name in expected[:3]:
        order.pytest_runtest_logfinish(name)
    order.pytest_terminal_summary(SimpleNamespace(section=lines.append, write_line=lines.append))
    assert lines == ["2 tests left out", *expected[3:]]


def test_no_tests_are_in_order_too():
    items: list[pytest.Item] = []
    Order().pytest_collection_modifyitems(SimpleNamespace(getoption={"rotate": 7, "collectonly": False}.get), items)
    assert items == []
