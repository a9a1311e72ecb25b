"""Server-sent events: in order, again after a break, for many at once, and no page waits for another."""

import asyncio
import json
import threading

import pytest
from studio_helpers import until

from jnst.studio.events import Broker


def read(answer, count):
    """So many events of a stream: (id, event, data)."""
    events, now = [], {}
    while len(events) < count:
        line = answer.fp.readline().decode().rstrip("\n")
        if line.startswith(("id:", "event:", "data:")):
            name, _, value = line.partition(": ")
            now[name] = value
        elif not line and "data" in now:
            events.append((int(now["id"]), now["event"], json.loads(now["data"])))
            now = {}
    return events


def take(broker, number, count):
    """What a listener gets at first, with the time until it would connect again."""

    async def main():
        texts, stream = [], broker.follow(number)
        async for text in stream:
            texts.append(text)
            if len(texts) > count:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return texts[1:]

    return asyncio.run(main())


def test_who_comes_back_gets_what_was_missed():
    broker = Broker()
    before = broker.last
    for k in range(3):
        broker.publish("job", {"k": k})
    texts = take(broker, before + 1, 2)
    assert [text.splitlines()[0] for text in texts] == [f"id: {before + 2}", f"id: {before + 3}"]
    assert texts[-1] == f'id: {before + 3}\nevent: job\ndata: {{"k": 2}}\n\n'


def test_who_was_away_too_long_is_told_so():
    broker = Broker(kept=5)
    before = broker.last
    for k in range(20):
        broker.publish("job", k)
    for number in (0, before, before + 14, broker.last + 1, 10**18):
        assert take(broker, number, 1) == [f"id: {broker.last}\nevent: reset\ndata: {{}}\n\n"]
    assert len(take(broker, before + 15, 5)) == 5
    assert len(broker._events) == 5  # and no more are kept


def test_a_quiet_line_is_kept_alive():
    assert take(Broker(beat_seconds=0.01), None, 2) == [": \n\n"] * 2


def test_the_stream_goes_on_after_a_break(client):
    broker = client.studio.broker
    number = client.ask("GET", "/api/state")[1]["event"]
    answer = client.open("GET", f"/api/events?after={number}")
    assert answer.headers["content-type"].startswith("text/event-stream")
    broker.publish("job", 1)
    (first,) = read(answer, 1)
    assert first[1:] == ("job", 1)
    answer.close()
    broker.publish("job", 2)
    broker.publish("removed", {"id": "x"})
    again = client.open("GET", f"/api/events?after={number}", Last_Event_ID=str(first[0]))
    assert [event[1:] for event in read(again, 2)] == [("job", 2), ("removed", {"id": "x"})]
    again.close()
    late = client.open("GET", "/api/events", Last_Event_ID="7")
    assert read(late, 1)[0][1] == "reset"
    late.close()


def test_a_hundred_pages_at_once(client):
    answers = [client.open("GET", "/api/events") for _ in range(100)]
    until(lambda: client.studio.broker.listeners == 100)
    assert client.ask("GET", "/api/state")[0] == 200
    client.studio.broker.publish("job", {"k": 1})
    assert all(read(answer, 1)[0][2] == {"k": 1} for answer in answers)
    for answer in answers:
        answer.close()
    until(lambda: client.studio.broker.listeners == 0)


def test_a_hundred_requests_at_once(client):
    results = []
    threads = [threading.Thread(target=lambda: results.append(client.ask("GET", "/api/state")[0])) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [200] * 100


def test_a_page_that_reads_nothing_holds_nobody_up(client):
    broker = client.studio.broker
    slow = client.connect(client.head("GET", "/api/events"))
    until(lambda: broker.listeners == 1)
    other = client.open("GET", "/api/events")
    until(lambda: broker.listeners == 2)
    for k in range(50):  # more than the system's buffers take
        broker.publish("job", {"k": k, "text": "x" * 200_000})
    assert [event[2]["k"] for event in read(other, 50)] == list(range(50))
    slow.close()
    other.close()
    until(lambda: broker.listeners == 0)


@pytest.mark.parametrize("number", ["x", "-1", "\xb2", "9" * 50, ""])
def test_a_number_that_is_none_is_as_none(client, number):
    answer = client.open("GET", "/api/events", Last_Event_ID=number)
    until(lambda: client.studio.broker.listeners == 1)
    client.studio.broker.publish("job", 5)
    assert read(answer, 1)[0][1:] == ("job", 5)
    answer.close()
