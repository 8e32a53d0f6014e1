"""The paper's printed numbers, as they stand in its tables."""

import numpy as np
import pytest

from prior_lab import paper


def test_table_5_holds_what_the_paper_prints():
    table = paper.table5()
    assert table.dims == ("metric", "ordering", "budget")
    assert table.budget.values.tolist() == [1, 15, 31, 127]
    assert table.ordering.values.tolist() == ["PRIOR", "MBOP-ITD", "MBOP-TD"]
    assert table.sel(metric="SSIM", ordering="PRIOR", budget=127) == 0.7639
    assert table.sel(metric="L1", ordering="MBOP-ITD", budget=1) == 0.1716
    assert table.sel(metric="MS-SSIM", ordering="MBOP-TD", budget=31) == 0.9247
    assert np.isfinite(table).all()


def test_the_l2_of_table_5_is_a_mean_of_squares():
    """A root mean square is never below the mean absolute error, a mean square never below its square."""
    table = paper.table5()
    l1, l2 = table.sel(metric="L1"), table.sel(metric="L2")
    assert (l2 < l1).all()
    assert (l2 >= l1**2).all()


def test_table_4_has_every_probe_accuracy():
    table = paper.table4()
    assert table.sizes == {"token_kind": 3, "ordering": 3, "taxonomy": 4, "budget": 7}
    assert table.taxonomy.values.tolist() == ["coarse", "mid", "fine", "class"]
    assert table.sel(token_kind="Gaussian", ordering="PRIOR", taxonomy="coarse", budget=1) == 70.11
    assert table.sel(token_kind="Gaussian", ordering="MBOP-TD", taxonomy="class", budget=3) == 77.6
    assert np.isfinite(table).all()


def test_table_3_leaves_blank_what_was_not_tuned_jointly():
    table = paper.table3()
    assert table.sel(token_kind="EMA-VQ", ordering="MBOP-TD", tuning="match") == 2.376
    assert table.sel(ordering="PRIOR", tuning="match").isnull().all()
    assert np.isfinite(table.sel(tuning="opt")).all()


def test_the_parts_of_table_2_sum_to_its_totals():
    table = paper.table2()
    trained = table.sel(part=["flip", "ema", "self_pred"]).sum("part")
    np.testing.assert_allclose(trained, table.sel(part="total"), atol=0.0021)
    with_heads = table.sel(part=["total", "projection"]).sum("part")
    np.testing.assert_allclose(with_heads, table.sel(part="total_with_heads"), atol=0.0011)


@pytest.mark.parametrize(
    ("table", "units"), [(paper.table2, "million"), (paper.table3, "nat"), (paper.table4, "%"), (paper.table5, "1")]
)
def test_every_table_tells_its_unit_and_its_source(table, units):
    assert table().attrs == {"units": units, "source": "arXiv 2606.25232v1"}
