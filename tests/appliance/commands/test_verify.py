"""`verify` of nothing says what to do."""


def test_nothing_running_is_exit_code_3_with_the_remedy(topmast) -> None:
    answer = topmast("verify", "--json")

    assert answer.code == 3
    assert answer.out == ""
    assert "`topmast up` starts it" in answer.err
