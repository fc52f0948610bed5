"""A made-up city in NGSIv2: entities of twelve types as its sensors would send them, the same for the same seed.

Types and attributes follow the Smart Data Models (smartdatamodels.org): normalized form, GeoJSON locations, units and
times as metadata, names in Japanese. An entity has about 2 KB.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

type Entity = dict[str, Any]

SEED = 2026
_CENTRE_LONGITUDE, _CENTRE_LATITUDE = 134.0466, 34.3428
_SPREAD_DEGREES = 0.08
_EPOCH = datetime(2026, 1, 15, 9, 0, tzinfo=UTC)
_DISTRICTS = ("丸亀町", "兵庫町", "片原町", "常磐町", "古新町", "番町", "天神前", "塩上町", "福岡町", "屋島西町")
_SIDES = ("north", "south", "east", "west")
_OPERATORS = ("City Works", "Harbour Authority", "Parks Office", "Transit Bureau", "Utilities Board")


class Measure(NamedTuple):
    """A number that a sensor reports, between two bounds, with its unit by UN/CEFACT code."""

    name: str
    unit_code: str
    low: float
    high: float
    digits: int = 1


class Kind(NamedTuple):
    """A type of entity: what it measures, and which states it can be in."""

    type: str
    label: str
    measures: tuple[Measure, ...]
    states: tuple[str, ...]


KINDS = (
    Kind(
        "AirQualityObserved",
        "Air quality station",
        (
            Measure("pm25", "GQ", 2, 60),
            Measure("pm10", "GQ", 5, 90),
            Measure("no2", "GQ", 4, 120),
            Measure("o3", "GQ", 10, 160),
        ),
        ("good", "moderate", "unhealthy"),
    ),
    Kind(
        "BikeHireDockingStation",
        "Docking station",
        (
            Measure("availableBikeNumber", "C62", 0, 24, 0),
            Measure("freeSlotNumber", "C62", 0, 24, 0),
            Measure("totalSlotNumber", "C62", 24, 30, 0),
        ),
        ("working", "outOfService", "full"),
    ),
    Kind(
        "EVChargingStation",
        "Charging station",
        (
            Measure("availableCapacity", "C62", 0, 8, 0),
            Measure("power", "KWT", 3, 150),
            Measure("energyToday", "KWH", 0, 900),
        ),
        ("working", "almostFull", "outOfService"),
    ),
    Kind(
        "GreenspaceRecord",
        "Park sensor",
        (
            Measure("soilMoistureVwc", "P1", 5, 55),
            Measure("soilTemperature", "CEL", -2, 31),
            Measure("relativeHumidity", "P1", 25, 98),
        ),
        ("irrigated", "dry", "resting"),
    ),
    Kind(
        "NoiseLevelObserved",
        "Noise meter",
        (Measure("LAeq", "2N", 35, 92), Measure("LAmax", "2N", 45, 110), Measure("LAS", "2N", 32, 90)),
        ("quiet", "lively", "loud"),
    ),
    Kind(
        "OffStreetParking",
        "Car park",
        (
            Measure("availableSpotNumber", "C62", 0, 320, 0),
            Measure("totalSpotNumber", "C62", 320, 500, 0),
            Measure("priceRate", "JPY", 100, 600, 0),
        ),
        ("open", "closed", "full"),
    ),
    Kind(
        "ParkingSpot",
        "Parking spot",
        (Measure("width", "MTR", 2.2, 3), Measure("length", "MTR", 4.5, 6), Measure("batteryLevel", "P1", 4, 100, 0)),
        ("free", "occupied", "closed"),
    ),
    Kind(
        "Streetlight",
        "Street light",
        (
            Measure("illuminanceLevel", "P1", 0, 100, 0),
            Measure("powerConsumption", "WTT", 0, 140),
            Measure("lanternHeight", "MTR", 4, 12),
        ),
        ("ok", "defectiveLamp", "columnIssue"),
    ),
    Kind(
        "TrafficFlowObserved",
        "Traffic counter",
        (
            Measure("intensity", "C62", 0, 1800, 0),
            Measure("occupancy", "P1", 0, 95),
            Measure("averageVehicleSpeed", "KMH", 4, 72),
        ),
        ("fluid", "dense", "congested"),
    ),
    Kind(
        "WasteContainer",
        "Waste container",
        (
            Measure("fillingLevel", "P1", 0, 100),
            Measure("cargoWeight", "KGM", 0, 480),
            Measure("temperature", "CEL", -3, 44),
        ),
        ("ok", "lidOpen", "dropped"),
    ),
    Kind(
        "WaterQualityObserved",
        "Water probe",
        (
            Measure("pH", "Q30", 6.2, 8.7, 2),
            Measure("turbidity", "NTU", 0.1, 40),
            Measure("conductivity", "D10", 0.04, 5.4, 3),
        ),
        ("clean", "turbid", "alarm"),
    ),
    Kind(
        "WeatherObserved",
        "Weather station",
        (
            Measure("temperature", "CEL", -4, 37),
            Measure("relativeHumidity", "P1", 20, 100),
            Measure("windSpeed", "MTS", 0, 28),
            Measure("precipitation", "MMT", 0, 45),
        ),
        ("sunnyDay", "cloudy", "lightRain", "thunder"),
    ),
)


def city(count: int, seed: int = SEED) -> Iterator[Entity]:
    """That many entities, the types in turn."""
    return (entity(number, seed) for number in range(count))


def entity(number: int, seed: int = SEED) -> Entity:
    """One entity of the city."""
    chance = random.Random(f"{seed}/{number}")
    kind = KINDS[number % len(KINDS)]
    serial = number // len(KINDS) + 1
    district = chance.choice(_DISTRICTS)
    observed = _time(_EPOCH + timedelta(seconds=chance.randrange(3600)))
    return {
        "id": f"urn:ngsi-ld:{kind.type}:takamatsu-{serial:05d}",
        "type": kind.type,
        "name": _attribute("Text", f"{kind.label} {serial} - {district}"),
        "description": _attribute("Text", _description(kind, district, chance)),
        "location": _attribute("geo:json", {"type": "Point", "coordinates": _coordinates(chance)}),
        "address": _attribute("PostalAddress", _address(district, chance)),
        "dateObserved": _attribute("DateTime", observed),
        "dateInstalled": _attribute("DateTime", _time(_EPOCH - timedelta(days=chance.randrange(90, 3000)))),
        "refDevice": _attribute("Relationship", f"urn:ngsi-ld:Device:{chance.randbytes(6).hex()}"),
        "dataProvider": _attribute("Text", chance.choice(_OPERATORS)),
        "owner": _attribute(
            "StructuredValue", [f"urn:ngsi-ld:Organization:{chance.randrange(40):03d}", "urn:ngsi-ld:City:takamatsu"]
        ),
        "status": _attribute("Text", chance.choice(kind.states), since=("DateTime", observed)),
        "maintained": _attribute("Boolean", chance.random() > 0.1),
        **{measure.name: _reading(measure, observed, chance) for measure in kind.measures},
    }


def read_again(before: Entity, chance: random.Random) -> Entity:
    """What an entity's sensor sends three hours later."""
    kind = next(kind for kind in KINDS if kind.type == before["type"])
    observed = _time(_EPOCH + timedelta(hours=3, seconds=chance.randrange(3600)))
    readings = {measure.name: _reading(measure, observed, chance) for measure in kind.measures}
    return {"id": before["id"], "type": before["type"], "dateObserved": _attribute("DateTime", observed), **readings}


def _attribute(kind: str, value: Any, **metadata: tuple[str, Any]) -> dict[str, Any]:
    described = {name: {"type": of, "value": what} for name, (of, what) in metadata.items()}
    return {"type": kind, "value": value, "metadata": described}


def _reading(measure: Measure, observed: str, chance: random.Random) -> dict[str, Any]:
    exact = chance.uniform(measure.low, measure.high)
    value = round(exact) if measure.digits == 0 else round(exact, measure.digits)
    return _attribute(
        "Number",
        value,
        unitCode=("Text", measure.unit_code),
        accuracy=("Number", chance.choice((0.01, 0.05, 0.1, 0.5))),
        TimeInstant=("DateTime", observed),
    )


def _description(kind: Kind, district: str, chance: random.Random) -> str:
    return (
        f"{kind.label} in {district}, mounted {chance.randrange(2, 9)} m above the ground "
        f"on the {chance.choice(_SIDES)} side, calibrated every {chance.randrange(3, 25)} months"
    )


def _coordinates(chance: random.Random) -> list[float]:
    return [
        round(centre + chance.uniform(-_SPREAD_DEGREES, _SPREAD_DEGREES), 6)
        for centre in (_CENTRE_LONGITUDE, _CENTRE_LATITUDE)
    ]


def _address(district: str, chance: random.Random) -> dict[str, str]:
    return {
        "addressCountry": "JP",
        "addressRegion": "香川県",
        "addressLocality": "高松市",
        "streetAddress": f"{district} {chance.randrange(1, 9)}-{chance.randrange(1, 30)}-{chance.randrange(1, 20)}",
        "postalCode": f"760-{chance.randrange(1, 10000):04d}",
    }


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
