import pytest

from sim.objects.sources import line_source, point_source, uniform


def test_a_uniform_cylinder_is_20_cm_wide_and_30_cm_long():
    assert uniform().extent == ((-100, 100), (-100, 100), (-150, 150))


def test_sources_lie_where_they_are_put():
    line, point = line_source(x_mm=3, y_mm=-4), point_source(x_mm=3, y_mm=-4, z_mm=5)
    assert line.extent == ((2.5, 3.5), (-4.5, -3.5), (-350, 350))
    assert point.extent == ((2.5, 3.5), (-4.5, -3.5), (4.5, 5.5))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (uniform, {"diameter_mm": 0}, "diameter_mm takes a length above 0 mm, got 0"),
        (uniform, {"length_mm": "long"}, "length_mm takes a number of 0 or more, got 'long'"),
        (line_source, {"activity_mbq": -1}, "activity_mbq takes a number of 0 or more, got -1"),
        (point_source, {"x_mm": 1e5}, "x_mm takes a number from -5000 to 5000"),
        (uniform, {"activity_bq_ml": True}, "activity_bq_ml takes a number"),
    ],
)
def test_values_that_make_no_source_are_refused(make, options, message):
    with pytest.raises(ValueError, match=message):
        make(**options)
