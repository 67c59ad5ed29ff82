"""A table of animals as any spreadsheet saves it is taken; names without a partner, or nearly alike, are reported."""

from contextlib import closing
from pathlib import Path

import pytest

from edge.contract.reading import Outcome
from edge.errors import OperatorError
from station.cli import main
from station.registry.subject import Subject
from station.registry.subjects import import_subjects, load_subjects
from station.registry.unmatched import doubtful_names
from station.store import schema
from station.store.store import Store
from tests.station import samples
from tests.station.samples import arrival


def taken(folder: Path, content: bytes) -> list[Subject]:
    """Return the lab's table after an import of these bytes."""
    (folder / "f.csv").write_bytes(content)
    found = import_subjects(folder / "f.csv", folder)
    assert found.refused == ()
    with closing(schema.open_for_reading(folder)) as connection:
        return load_subjects(connection)


M1 = Subject("M1", strain="C57BL/6J", sex="female", date_of_birth="2025-08-14", cage="Käfig", arm="none")
FORMS = [
    ("subject,strain,sex,date_of_birth,cage,arm\nM1,C57BL/6J,F,2025-08-14,Käfig,none\n", "utf-8"),
    ("Subject;Strain;Sex;Date of birth;Cage;Arm\r\nM1;C57BL/6J;F;2025-08-14;Käfig;none\r\n", "cp1252"),
    ("subject\tstrain\tsex\tdate_of_birth\tcage\tarm\rM1\tC57BL/6J\tF\t14.08.2025\tKäfig\tnone\r", "utf-16"),
    (
        "sep=;\nsubject;strain;sex;date_of_birth;cage;arm;;\nM1;C57BL/6J;F;14 Aug 2025;Käfig;none;;\n;;;;;;;\n",
        "utf-8-sig",
    ),
    (
        '"subject","strain","sex","date of birth","cage","arm",\n"M1","C57BL/6J","f","08/14/2025","Käfig","none",\n',
        "utf-8",
    ),
]


@pytest.mark.parametrize(("text", "encoding"), FORMS)
def test_every_dialect_is_the_same_animal(tmp_path: Path, text: str, encoding: str) -> None:
    assert taken(tmp_path, text.encode(encoding)) == [M1]


def test_missing_words_say_nothing_and_clear_still_empties(tmp_path: Path) -> None:
    taken(tmp_path, FORMS[0][0].encode())
    assert taken(tmp_path, b"subject,strain,date_of_birth,arm\nM1,NA,n/a,?\n") == [M1]
    [changed] = taken(tmp_path, b"subject,date_of_birth\nM1,(clear)\n")
    assert changed.date_of_birth is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("subject,date_of_birth\nM1,05/06/2025\n", "date_of_birth: expected YYYY-MM-DD, got '05/06/2025'"),
        ("subject,date_of_birth\nM1,45883\n", "date_of_birth: expected YYYY-MM-DD, got '45883'"),
        ('subject,notes\nM1,"5 cm\nM2,ok\nM3,"6 cm\n', "line 2, cell 2: expected quotation marks"),
        ("subject,,sex\nM1,x,f\n", "expected a name for column 2"),
    ],
)
def test_what_could_be_two_things_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "f.csv").write_text(text)
    with pytest.raises(OperatorError) as error:
        import_subjects(tmp_path / "f.csv", tmp_path)
    assert said in str(error.value)


def test_names_without_a_partner_and_near_ones_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cage = "cage-1"
    found = [
        samples.reading(seq, cage=cage, animals=(samples.animal(100, subject=f"00{seq}"),), outcome=Outcome.OK)
        for seq in (1, 2)
    ]
    with closing(Store.open(tmp_path)) as store:
        store.take([arrival(message, seq) for seq, message in enumerate(found, 1)])
    (tmp_path / "f.csv").write_text(
        f"subject,cage,arm,strain\n1,{cage.upper()},Control,C57BL/6J\n002,{cage},control,c57bl/6j\n3,c9,drug,A/J\n"
    )
    assert main(["subjects", "import", str(tmp_path / "f.csv"), "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().err.splitlines()
    for text in (
        "warning: names that differ little likely mean one animal: '001' and '1'; ",
        f"warning: names that differ little likely mean one cage: '{cage.upper()}' and '{cage}'; ",
        "warning: names that differ little likely mean one arm: 'Control' and 'control'; ",
        "warning: names that differ little likely mean one strain: 'C57BL/6J' and 'c57bl/6j'; ",
        "warning: 1 animals of the readings are not in the table (first: 001)",
        "warning: 2 cages of the table are not in what the devices look at (first: ",
    ):
        assert [line for line in said if line.startswith(text)], (text, said)


def test_what_was_decided_while_reading_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "subject;cage;date_of_birth;date_of_death\nM1;Käfig;05.06.2025;(clear)\nM2;c2;14.06.2025;\n"
    (tmp_path / "f.csv").write_bytes(text.encode("cp1252"))
    assert main(["subjects", "import", str(tmp_path / "f.csv"), "--data", str(tmp_path)]) == 0
    said = capsys.readouterr().err
    assert "is 'Käfig' in line 2 right?" in said
    assert "date_of_birth: dates are read day first throughout, as '14.06.2025' says" in said


def test_a_table_that_fits_the_readings_is_taken_in_silence(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        message = samples.reading(1, cage="cage-1", animals=(samples.animal(100, subject="M1"),), outcome=Outcome.OK)
        store.take([arrival(message, 1)])
    taken(tmp_path, b"subject,cage\nM1,cage-1\n")
    assert doubtful_names(tmp_path) == []
    assert doubtful_names(tmp_path / "nowhere", ["M1", "M2"]) == []
    assert len(doubtful_names(tmp_path / "nowhere", ["M1", "m1"])) == 1
