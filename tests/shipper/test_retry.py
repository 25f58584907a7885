"""retry.py: how long to wait."""

from topmast_shipper.retry import Backoff


def test_delays_double_up_to_the_maximum() -> None:
    backoff = Backoff(0.5, 30, chance=lambda: 1.0)

    assert [backoff.next_delay() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_chance_takes_half_of_a_delay_at_most() -> None:
    assert Backoff(0.5, 30, chance=lambda: 0.0).next_delay() == 0.25


def test_what_the_other_side_asks_for_is_the_least() -> None:
    assert Backoff(0.5, 30).next_delay(at_least=60) == 60


def test_after_progress_it_begins_anew() -> None:
    backoff = Backoff(0.5, 30, chance=lambda: 1.0)
    backoff.next_delay()

    backoff.reset()

    assert backoff.next_delay() == 0.5


def test_a_long_night_is_no_overflow() -> None:
    backoff = Backoff(0.5, 30, chance=lambda: 1.0)

    assert [backoff.next_delay() for _ in range(5000)][-1] == 30
