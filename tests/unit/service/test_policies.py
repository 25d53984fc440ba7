"""The service's file: what is understood, what is refused and how, which rule wins, and how it is reloaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from compactor.errors import SettingsError
from compactor.service.config import GlueSource, ListSource, PrefixSource
from compactor.service.config_file import parse_config, read_config
from compactor.service.globs import matches
from compactor.service.policies import explain_policy, policy_of
from compactor.service.reload import ConfigFile
from compactor.service.rule_keys import OWNER_KEYS, RULE_KEYS

FILE = """
state = "s3://state/compactor"
[service]
round = "2m"
parallel = 3
[run]
executor = "local"
[budget]
gb_hours_per_day = 50
shares = {raw = 2}
[http]
port = 0
[events]
queue_url = "https://sqs.example/1/lake"
[[source]]
prefix = "s3://lake/"
exclude = ["**/tmp/**"]
[[source]]
glue = "prod_*"
[[source]]
tables = ["s3://other/one"]
[defaults]
target_size = "128MiB"
windows = "0 1 * * * for 5h in Europe/Berlin; 0 12 * * sun for 2h"
[[match]]
glob = "s3://lake/raw/**"
group = "raw"
target_size = "64MiB"
role_arn = "arn:aws:iam::1:role/raw"
[[match]]
glob = "s3://lake/raw/hot/*"
target_size = "32MiB"
proof = "counts"
[[table]]
uri = "s3://lake/raw/hot/events"
min_input_files = 9
"""
EVENTS = "s3://lake/raw/hot/events"


def test_the_whole_file() -> None:
    """Every section becomes its value; tables that are named are looked at though no other source has them."""
    config = parse_config(FILE, "f.toml")
    assert (config.pace.round_s, config.pace.parallel, config.budget.gb_hours_per_day, config.budget.shares) == (120, 3, 50, {"raw": 2})
    prefix, glue, listed, named = config.sources
    assert prefix == PrefixSource(uri="s3://lake", exclude=("**/tmp/**",))
    assert glue == GlueSource(databases=("prod_*",))
    assert (listed, named) == (ListSource(tables=("s3://other/one",)), ListSource(tables=(EVENTS,)))
    assert config.http is not None
    assert config.http.host == "127.0.0.1"
    assert config.events is not None


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ('round = "2m"', 'ruond = "2m"', "f.toml: [service] ruond: there is no such key; did you mean round?"),
        ("[defaults]", "[default]", "f.toml: default: there is no such key; did you mean defaults?"),
        ('proof = "counts"', 'prof = "counts"', "f.toml: [[match]] 2 prof: there is no such key; did you mean proof?"),
        ("min_input_files = 9", "min_inputs = 9", "f.toml: [[table]] 1 min_inputs: there is no such key; did you mean min_input_files?"),
        ("min_input_files = 9", "min_input_files = 1", 'f.toml: [[table]] 1 min_input_files: "1" is not a number of at least 2.'),
        ('target_size = "64MiB"', 'target_size = "big"', 'f.toml: [[match]] 1 target_size: "big" is not a size such as "256MiB" or "1GB".'),
        ("for 5h in Europe/Berlin", "for 5h in Berlin", 'f.toml: [defaults] windows: "Berlin" is not a time zone such as "Europe/Berlin".'),
        ("gb_hours_per_day = 50", "gb_hours_per_day = 0", "f.toml: [budget] gb_hours_per_day: 0 is not a number above 0."),
        ("shares = {raw = 2}", "shares = {raw = true}", "f.toml: [budget] shares: raw: True is not a number above 0."),
        ("parallel = 3", 'parallel = "3"', "f.toml: [service] parallel: '3' is not a whole number of at least 1."),
        ('executor = "local"', 'target_size = "1GB"', "f.toml: [run] target_size: there is no such key."),
        ('group = "raw"', 'executor = "ray"', "f.toml: [[match]] 1 executor: there is no such key."),
        ('group = "raw"', "force_rewrite = true", "f.toml: [[match]] 1 force_rewrite: there is no such key."),
        ('state = "s3://state/compactor"', "", "f.toml: state: it is required: a URI"),
        ('glob = "s3://lake/raw/hot/*"', "", "f.toml: [[match]] 2 glob: it is required"),
        ('glue = "prod_*"', 'glue = "x"\nprefix = "y"', "f.toml: [[source]] 2: a source has exactly one of"),
        ("[[source]]\nprefix", "[source]\nprefix", "The service file f.toml is not TOML"),
        ('port = 0', "port = 70000", "f.toml: [http] port: 70000 is not a whole number of at least 0 and at most 65535."),
    ],
)  # fmt: skip
def test_mistakes_are_named(was: str, becomes: str, said: str) -> None:
    """The first mistake is named by file, section and key, with the nearest key that there is."""
    assert was in FILE
    with pytest.raises(SettingsError) as raised:
        parse_config(FILE.replace(was, becomes, 1), "f.toml")
    assert str(raised.value).startswith(said)


def test_which_rule_wins() -> None:
    """Defaults yield to sections that match, earlier to later ones, these to the table's properties, and these to its section."""
    config = parse_config(FILE, "f.toml")
    found = {
        item.key: item for item in explain_policy(config, EVENTS, {"compactor.target_size": "16MiB", "compactor.min_input_files": "7"})
    }
    assert (found["target_size"].value, found["target_size"].where) == ("16MiB", "the table's own properties")
    assert found["target_size"].hidden == ("[defaults]", '[[match]] 1 "s3://lake/raw/**"', '[[match]] 2 "s3://lake/raw/hot/*"')
    assert (found["min_input_files"].value, found["min_input_files"].where) == (9, f"[[table]] 1 {EVENTS}")
    assert found["group"].where == '[[match]] 1 "s3://lake/raw/**"'
    assert (found["small_ratio"].value, found["small_ratio"].where) == (0.75, "built in")
    policy = policy_of(config, EVENTS, {"compactor.target_size": "16MiB"})
    assert (policy.settings.target_size, policy.settings.min_input_files, policy.settings.proof, policy.group) == (
        16 * 1024**2,
        9,
        "counts",
        "raw",
    )
    assert (policy.settings.state, policy.settings.lease, policy.settings.lease_wait) == (config.state, "on", 0)
    assert (policy.settings.role_arn, policy.settings.executor, len(policy.windows)) == ("arn:aws:iam::1:role/raw", "local", 2)
    other = policy_of(config, "s3://lake/marts/orders", {})
    assert (other.settings.target_size, other.settings.proof, other.group) == (128 * 1024**2, "full", "default")


def test_owners_opt_out_and_tune() -> None:
    """A table's own property takes it out; one that is wrong is told and passed over; what is not understood is a no."""
    config = parse_config(FILE, "f.toml")
    assert not policy_of(config, EVENTS, {"compactor.enabled": "false"}).enabled
    assert policy_of(config, EVENTS, {"compactor.enabled": "true"}).enabled
    unclear = policy_of(config, EVENTS, {"compactor.enabled": "flase"})
    assert (unclear.enabled, unclear.ignored) == (False, ("compactor.enabled: 'flase' is not true or false.",))
    wrong = policy_of(config, EVENTS, {"compactor.target_size": "big", "compactor.min_aeg": "1h", "delta.appendOnly": "true"})
    assert wrong.settings.target_size == 32 * 1024**2
    assert wrong.ignored == (
        "table property min_aeg: there is no such key; did you mean min_age?",
        'compactor.target_size: "big" is not a size such as "256MiB" or "1GB".',
    )


@pytest.mark.parametrize("key", sorted(set(RULE_KEYS) - set(OWNER_KEYS)))
def test_a_table_cannot_borrow_the_services_rights(key: str) -> None:
    """Credentials, what may be read, accepted damage, and its weight beside others are not a table's to say."""
    policy = policy_of(parse_config(FILE, "f.toml"), "s3://lake/x", {f"compactor.{key}": "true"})
    assert policy.ignored == (f"compactor.{key}: this is for the service's file to say, not for a table.",)
    assert key not in policy.origins


def test_what_owners_may_say_is_short() -> None:
    """Nothing that reaches a store, and nothing that weakens a check, is in the list."""
    assert {"role_arn", "endpoint_url", "allow_external_paths", "accept_damage", "rivals", "arbiter", "priority", "proof"}.isdisjoint(
        OWNER_KEYS
    )


@pytest.mark.parametrize(
    ("glob", "uri", "fits"),
    [
        ("s3://lake/*", "s3://lake/a", True),
        ("s3://lake/*", "s3://lake/a/b", False),
        ("s3://lake/**", "s3://lake/a/b", True),
        ("s3://lake/**", "s3://lake", True),
        ("s3://lake/**", "s3://lakes/a", False),
        ("**/tmp/**", "s3://lake/tmp/a", True),
        ("**/tmp/**", "s3://lake/tmp", True),
        ("**/tmp/**", "s3://lake/tmpx/a", False),
        ("s3://l?ke/[a]", "s3://lake/[a]", True),
        ("s3://l?ke/[a]", "s3://lake/a", False),
    ],
)
def test_globs(glob: str, uri: str, fits: bool) -> None:
    """One star stays within a folder, two cross folders or stand for none, and everything else is literal."""
    assert (matches(uri, [glob]) == glob) is fits


def test_reloading_is_all_or_nothing(tmp_path: Path) -> None:
    """A changed file holds at once; a wrong one changes nothing and is told until it is mended; a file that is gone too."""
    path = tmp_path / "f.toml"
    path.write_text(FILE)
    file = ConfigFile(path)
    assert not file.look()
    path.write_text(FILE.replace("parallel = 3", "parallel = 4"))
    assert file.look()
    path.write_text(FILE.replace("parallel = 3", "parallel = 5").replace("min_input_files = 9", "min_input_files = 1"))
    assert not file.look()
    assert (file.current.pace.parallel, "min_input_files" in str(file.problem)) == (4, True)
    assert str(file.problem).endswith("The earlier file holds.")
    path.unlink()
    assert not file.look()
    assert "cannot be read" in str(file.problem)
    path.write_text(FILE)
    assert file.look()
    assert (file.current.pace.parallel, file.problem) == (3, None)


def test_a_file_that_is_wrong_from_the_start(tmp_path: Path) -> None:
    """There is nothing earlier to hold to."""
    with pytest.raises(SettingsError):
        ConfigFile(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    with pytest.raises(SettingsError):
        read_config(tmp_path / "bad.toml")
