"""What makes a configuration another one."""

from tlcli.runs import identity


def test_free_keys_do_not_enter_the_hash():
    one = {"epochs": 2, "workers": 1}
    assert identity.config_hash(one, ("workers",)) == identity.config_hash(
        {"workers": 8, "epochs": 2}, ("workers",)
    )
    assert identity.config_hash(one, ("workers",)) != identity.config_hash(
        {**one, "epochs": 3}, ("workers",)
    )
