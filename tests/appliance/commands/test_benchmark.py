"""`benchmark` lists what there is and names it when another was asked for."""


def test_without_a_name_the_benchmarks_are_listed(topmast) -> None:
    lines = topmast("benchmark").out.splitlines()

    assert any(line.startswith("startup ") for line in lines)


def test_an_unknown_name_is_told_with_those_there_are(topmast) -> None:
    answer = topmast("benchmark", "speed")

    assert answer.code == 1
    assert "no benchmark 'speed'; there are: " in answer.err
    assert "startup" in answer.err
