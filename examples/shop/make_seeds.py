"""Write the shop's seed files: deterministic, so that the committed CSV files can be checked against this script.

    python make_seeds.py            # (re)write seeds/*.csv
    python make_seeds.py --check    # exit 1 when a committed file differs from what would be written

The data are awkward on purpose (unicode, apostrophes, quotes, commas, empty fields), because real data are.
All dates lie in 2024 and 2025 and never move.
"""

import csv
import io
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

SEEDS_DIR = Path(__file__).resolve().parent / "seeds"
RANDOM_SEED = 20251231
CUSTOMERS, ORDERS = 300, 900
FIRST_SIGNUP, FIRST_ORDER, END = datetime(2024, 1, 1), datetime(2025, 1, 1), datetime(2026, 1, 1)

COUNTRIES = [
    ("AT", "Österreich", "Europe"),
    ("BR", "Brasil", "Americas"),
    ("CA", "Canada", "Americas"),
    ("CH", "Schweiz / Suisse / Svizzera", "Europe"),
    ("CI", "Côte d'Ivoire", "Africa"),
    ("CZ", "Česko", "Europe"),
    ("DE", "Deutschland", "Europe"),
    ("ES", "España", "Europe"),
    ("FR", "France", "Europe"),
    ("GR", "Ελλάδα", "Europe"),
    ("IE", "Éire", "Europe"),
    ("JP", "日本", "Asia"),
    ("KR", "대한민국, Republic of Korea", "Asia"),
    ("MX", "México", "Americas"),
    ("PL", "Polska", "Europe"),
    ("TR", "Türkiye", "Asia"),
]
GIVEN_NAMES = [
    "Anaïs",
    "Bjørn",
    "Chloé",
    "D'Arcy",
    "Eoin",
    "François",
    "Günther",
    "Hélène",
    "Łukasz",
    "Željko",
    "花子",
    "Νίκος",
]
FAMILY_NAMES = [
    "O'Brien",
    "de l'Étang",
    "Müller",
    "Ñáñez",
    "Øvergård",
    "Šimůnek",
    "Smith-Jones",
    "Null",
    "山田",
    "김",
    "Παππάς",
    "St. John",
]
CATEGORIES = {
    "books": ["L'Étranger", "Der Prozeß", '"The Raven" & other poems', "El amor en los tiempos", "吾輩は猫である"],
    "paper": ['Notebook 5" x 8"', "Carnet d'adresses", "Grid pad, A4", "Postcards (50 %)", "Washi 和紙"],
    "pens": ["Füller M", "Stylo à bille", "Brush pen 筆", 'Marker "bold"', "Pencil 2B; soft"],
}
DESK = ["Lamp — brass", "Ruler 30 cm", "Tape 'n' glue", "Stapler №5", "Clips 📎"]
NOTES = [
    "Please don't ring the bell",
    'Gift wrap: "with love"',
    "leave at no. 12, 2nd floor",
    "お急ぎ便",
    "c/o O'Brien; côté jardin",
    "🎁",
]
STATUSES = ["placed", "shipped", "delivered", "returned", "cancelled"]
STATUS_WEIGHTS = [5, 10, 70, 10, 5]

Table = tuple[Sequence[str], list[Sequence[object]]]


def moment(rng: random.Random, start: datetime, end: datetime) -> datetime:
    """A second between start and end."""
    return start + timedelta(seconds=rng.randrange(int((end - start).total_seconds())))


def countries() -> Table:
    """The countries the shop delivers to."""
    return ("country_code", "country_name", "region"), list(COUNTRIES)


def products(rng: random.Random) -> Table:
    """Three editions of every name; books have no weight."""
    rows: list[Sequence[object]] = []
    for category, names in {**CATEGORIES, "desk": DESK}.items():
        for name in names:
            for edition in ("", " II", " III"):
                product_id = len(rows) + 1
                price = Decimal(rng.randrange(95, 8_000)) / 100
                weight = "" if category == "books" else rng.randrange(5, 900)
                sku = f"{category[:2].upper()}-{product_id:04}"
                rows.append((product_id, sku, name + edition, category, price, weight))
    return ("product_id", "sku", "product_name", "category", "unit_price", "weight_grams"), rows


def customers(rng: random.Random) -> Table:
    """Customers who all signed up before the first order; some without email or answer."""
    rows: list[Sequence[object]] = []
    for customer_id in range(1, CUSTOMERS + 1):
        name = f"{rng.choice(GIVEN_NAMES)} {rng.choice(FAMILY_NAMES)}"
        signed_up = moment(rng, FIRST_SIGNUP, FIRST_ORDER)
        updated = moment(rng, signed_up, END)
        email = "" if rng.random() < 0.06 else f"customer{customer_id}@example.com"
        country = rng.choice(COUNTRIES)[0]
        opt_in = rng.choice(["true", "false", ""])
        rows.append((customer_id, name, email, country, opt_in, signed_up, updated))
    return ("customer_id", "full_name", "email", "country_code", "marketing_opt_in", "signed_up_at", "updated_at"), rows


def orders(rng: random.Random) -> Table:
    """Orders of 2025, most of them delivered, each updated within 20 days."""
    rows: list[Sequence[object]] = []
    for order_id in range(1, ORDERS + 1):
        ordered = moment(rng, FIRST_ORDER, END - timedelta(days=20))
        updated = moment(rng, ordered, ordered + timedelta(days=20))
        status = rng.choices(STATUSES, STATUS_WEIGHTS)[0]
        discount = rng.choice(["", "", "", "2.50", "5.00", "10.00", "33.33"])
        note = rng.choice(NOTES) if rng.random() < 0.2 else ""
        rows.append((order_id, rng.randint(1, CUSTOMERS), status, discount, note, ordered, updated))
    return ("order_id", "customer_id", "status", "discount_pct", "note", "ordered_at", "updated_at"), rows


def order_lines(rng: random.Random, product_rows: list[Sequence[object]]) -> Table:
    """One to four products for every order."""
    rows: list[Sequence[object]] = []
    for order_id in range(1, ORDERS + 1):
        for line_number, product in enumerate(rng.sample(product_rows, rng.choice([1, 1, 2, 3, 4])), start=1):
            rows.append((order_id, line_number, product[0], rng.choice([1, 1, 1, 2, 5]), product[4]))
    return ("order_id", "line_number", "product_id", "quantity", "unit_price"), rows


def as_csv(table: Table) -> str:
    """The table as CSV text, quoted where needed."""
    header, rows = table
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


def make_files() -> dict[str, str]:
    """File name -> content. Each table has its own generator, so that changing one table leaves the others alone."""

    def rng(table: str) -> random.Random:
        return random.Random(f"{RANDOM_SEED}/{table}")

    product_table = products(rng("products"))
    tables = {
        "raw_countries": countries(),
        "raw_products": product_table,
        "raw_customers": customers(rng("customers")),
        "raw_orders": orders(rng("orders")),
        "raw_order_lines": order_lines(rng("order_lines"), product_table[1]),
    }
    return {f"{name}.csv": as_csv(table) for name, table in tables.items()}


def main(arguments: Iterable[str], *, say: Callable[[str], None] = print) -> int:
    """Write the files, or check them; returns the exit code."""
    files = make_files()
    if "--check" in arguments:
        stale = [n for n, text in files.items() if (SEEDS_DIR / n).read_text(encoding="utf-8") != text]
        say(f"differs from what this script writes: {', '.join(stale)}" if stale else "seeds are up to date")
        return 1 if stale else 0
    for name, text in files.items():
        (SEEDS_DIR / name).write_text(text, encoding="utf-8", newline="\n")
        say(f"{name}: {text.count(chr(10)) - 1} rows, {len(text.encode()):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
