"""Temperatures of stations with gaps as a field over latitude, longitude and time, with error bars.

python examples/station_field.py -o stations.csv --plot stations.png

40 stations at whole degrees report on half of 60 days, with a noise of 0.5 degrees. The field that is completed is
compared with the truth: how far it is off at stations on days without report, and how many of their reports its
intervals hold.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from sci.completion import functional_cp, observe
from sci.plotting import plot_completion

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("-o", "--output", type=Path, default=Path("stations.csv"))
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--plot", type=Path, metavar="FILE.png", help="complete the field and draw it")
parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
a = parser.parse_args()
if a.output.exists() and not a.overwrite:
    parser.error(f"{a.output} exists; choose another name, or --overwrite")

rng = np.random.default_rng(a.seed)
lat, lon = rng.integers(35, 49, 40).astype(float), 3.0 * rng.integers(-40, -24, 40)


def temperature(lat: np.ndarray, lon: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return the true field, degrees: a gradient, warm air that moves east, and a spell of cold in the north."""
    front = 6 * np.exp(-(((lon + 125 - 0.9 * day) / 9) ** 2))
    spell = -5 * np.exp(-(((day - 40) / 6) ** 2)) * (lat - 35) / 13
    return 28 - 0.9 * (lat - 35) + front + spell + 2 * np.sin(day / 4)


station, day = np.divmod(rng.permutation(40 * 60), 60)
values = temperature(lat[station], lon[station], day) + 0.5 * rng.normal(size=2400)
rows = [f"{lat[s]},{lon[s]},{d},{v:.3f}" for s, d, v in zip(station[:1200], day[:1200], values[:1200])]
a.output.write_text("\n".join(["lat,lon,day,temperature", *rows]) + "\n")
print(f"{a.output}: {len(rows)} of 2400 reports of 40 stations")

if a.plot:
    places = {"lat": lat[station], "lon": lon[station], "day": day.astype(float)}
    seen = observe({name: column[:1200] for name, column in places.items()}, values[:1200])
    model = functional_cp(seen)
    found = model.predict({name: column[1200:] for name, column in places.items()})
    truth = temperature(lat[station], lon[station], day)[1200:]
    low, high = found.interval(0.9)
    inside = (values[1200:] >= low) & (values[1200:] <= high)
    print(
        f"error without report {np.sqrt(((found.mean - truth) ** 2).mean()):.2f} degrees, told "
        f"{np.sqrt((found.deviation**2).mean()):.2f}; noise {model.noise_deviation:.2f}"
    )
    print(f"intervals of 90 % hold {inside.mean():.1%} of the other reports")
    plot_completion(model, a.plot, observations=seen, quantity="temperature", overwrite=a.overwrite)
