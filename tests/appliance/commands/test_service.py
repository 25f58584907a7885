"""`service install --print` shows the unit and changes nothing."""


def test_the_unit_is_shown(topmast) -> None:
    answer = topmast("service", "install", "--print")

    assert answer.code == 0
    assert answer.out.startswith("[Unit]\n")
    assert " up\n" in answer.out
