"""Asking all plugins of a job together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from trialrun.plugins import Manager, Plugin, load_plugin
from trialrun_hookspecs.errors import PluginBroken, PluginRefused
from trialrun_hookspecs.event import Event
from trialrun_hookspecs.markers import hookimpl

EVENTS = [Event(kind="message", data={"content": str(number)}) for number in range(3)]


class Listener:
    def __init__(self, failing: type[BaseException] | None = None) -> None:
        self.heard: list[Event] = []
        self.failing = failing

    @hookimpl
    def report(self, event: Event | None = None) -> None:
        assert event is not None
        self.heard.append(event)
        if self.failing is not None:
            raise self.failing("no disk")


def offering(**answers: Any) -> Plugin:
    """Give a plugin whose extension hooks answer with these; what is callable is called."""

    class Offering:
        pass

    for hook, answer in answers.items():

        def function(self: Any, answer: Any = answer) -> Any:
            return answer

        function.__name__ = hook
        setattr(Offering, hook, hookimpl(function))
    return load_plugin(Offering())


def dataset() -> list[Any]:
    return []


@pytest.mark.parametrize("failing", [ValueError, SystemExit, AssertionError])
def test_a_listener_that_raises_is_muted_alone(failing: type[BaseException]) -> None:
    listeners = [Listener(), Listener(failing), Listener()]
    muted: list[tuple[str, BaseException]] = []
    manager = Manager([load_plugin(one) for one in listeners], on_mute=lambda name, error: muted.append((name, error)))
    for event in EVENTS:
        manager.report(event)
    assert [one.heard for one in listeners] == [EVENTS, EVENTS[:1], EVENTS]
    assert [type(error) for _, error in muted] == [failing]
    assert muted[0][0] in manager.plugins


def test_a_muted_listener_stays_muted_when_another_joins() -> None:
    bad, late = Listener(ValueError), Listener()
    manager = Manager([load_plugin(bad)])
    manager.report(EVENTS[0])
    manager.add(load_plugin(late))
    manager.report(EVENTS[1])
    assert bad.heard == EVENTS[:1]
    assert late.heard == EVENTS[1:2]


def test_telling_of_a_mute_may_report_again() -> None:
    bad, good = Listener(ValueError), Listener()

    def tell(name: str, error: BaseException) -> None:
        manager.report(Event(kind="message", data={"content": f"{name}: {error}"}))

    manager = Manager([load_plugin(bad), load_plugin(good)], on_mute=tell)
    manager.report(EVENTS[0])
    assert len(bad.heard) == 1
    assert [event.data["content"] for event in good.heard] == ["0", "Listener: no disk"]


def test_a_plugin_is_registered_once() -> None:
    plugin = load_plugin(Listener())
    manager = Manager([plugin])
    assert manager.add(plugin) == manager.add(load_plugin(plugin.code)) == "Listener"
    assert manager.add(load_plugin(Listener())) != "Listener"
    assert len(manager.plugins) == 2


def test_pluggy_sees_the_hooks_with_the_names_of_the_specs() -> None:
    listener = Listener()
    manager = Manager([load_plugin(listener)])
    manager.pluggy.hook.report(event=EVENTS[0])
    manager.pluggy.check_pending()
    assert listener.heard == EVENTS[:1]


def test_tryfirst_is_kept() -> None:
    order: list[str] = []

    class First:
        @hookimpl(tryfirst=True)
        def report(self, event: Event) -> None:
            order.append("first")

    class Last:
        @hookimpl(trylast=True)
        def report(self, event: Event) -> None:
            order.append("last")

    class Middle:
        @hookimpl
        def report(self, event: Event) -> None:
            order.append("middle")

    Manager([load_plugin(First()), load_plugin(Middle()), load_plugin(Last())]).report(EVENTS[0])
    assert order == ["first", "middle", "last"]


@pytest.mark.parametrize("hook", ["datasets", "search_algorithms", "schedulers"])
def test_offers_are_merged(hook: str) -> None:
    manager = Manager([offering(**{hook: {"a": dataset}}), offering(**{hook: {"b": dataset}}), offering(report=None)])
    assert getattr(manager, hook)() == {"a": dataset, "b": dataset}


@pytest.mark.parametrize("hook", ["datasets", "search_algorithms", "schedulers"])
def test_one_name_offered_twice_is_refused(hook: str) -> None:
    manager = Manager([offering(**{hook: {"same": dataset}}), offering(**{hook: {"Same": dataset}})])
    with pytest.raises(PluginRefused, match="offered once") as caught:
        getattr(manager, hook)()
    assert "'Offering'" in str(caught.value)
    assert "'Offering (" in str(caught.value)


def test_a_reserved_name_is_refused() -> None:
    manager = Manager([offering(schedulers={"ASHA": dataset})])
    with pytest.raises(PluginRefused, match="trialrun itself offers 'ASHA'"):
        manager.schedulers(reserved=["asha"])


@pytest.mark.parametrize("answer", [[dataset], 3, {"": dataset}, {3: dataset}, {"a": "no callable"}])
def test_an_offer_of_another_shape_is_refused(answer: object) -> None:
    with pytest.raises(PluginRefused, match=r"'Offering', datasets\(\): it must return a mapping"):
        Manager([offering(datasets=answer)]).datasets()


def test_trial_callbacks_come_with_their_plugin() -> None:
    class Yielding:
        @hookimpl
        def trial_callbacks(self) -> Iterator[str]:
            yield "three"

    manager = Manager(
        [offering(trial_callbacks=["one", "two"]), load_plugin(Yielding()), offering(trial_callbacks=None)]
    )
    assert sorted(manager.trial_callbacks()) == [("Offering", "one"), ("Offering", "two"), ("Yielding", "three")]


@pytest.mark.parametrize("answer", ["text", 3, {"a": 1}])
def test_callbacks_that_are_no_list_are_refused(answer: object) -> None:
    with pytest.raises(PluginRefused, match="an iterable of callbacks"):
        Manager([offering(trial_callbacks=answer)]).trial_callbacks()


@pytest.mark.parametrize("answer", [print, [3], {"a": print}])
def test_stoppers_that_are_no_callables_in_a_list_are_refused(answer: object) -> None:
    with pytest.raises(PluginRefused, match="an iterable of callables"):
        Manager([offering(stoppers=answer)]).stoppers()
    assert Manager([offering(stoppers=[print])]).stoppers() == [("Offering", print)]


def test_an_offer_that_raises_is_a_broken_plugin() -> None:
    class Raising:
        @hookimpl
        def datasets(self) -> dict[str, Any]:
            raise KeyError("no folder")

    with pytest.raises(PluginBroken, match=r"plugin 'Raising'.*KeyError") as caught:
        Manager([load_plugin(Raising())]).datasets()
    assert isinstance(caught.value.__cause__, KeyError)


def test_no_plugin_offers_nothing() -> None:
    manager = Manager()
    manager.report(EVENTS[0])
    assert (manager.datasets(), manager.schedulers(), manager.trial_callbacks(), manager.stoppers()) == ({}, {}, [], [])
