"""Throughput and latency over load, as an SVG of two plots side by side."""
import html

COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce")
WIDTH, HEIGHT, LEFT, TOP, GAP = 400, 280, 60, 40, 90
PLOTS = (("output tokens/s", "output_tokens_s"), ("TTFT p99, ms", "ttft_p99_ms"))


def rise(most):
    """A round number from which the axis comes down."""
    step = 10 ** (len(str(int(max(most, 1)))) - 1)
    return step * (int(most // step) + 1)


def text(x, y, words, anchor="middle", colour="#333"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{colour}">{html.escape(str(words))}</text>'


def one_plot(left, title, key, series):
    loads = list(dict.fromkeys((row["x"], row["load"]) for rows in series.values() for row in rows))
    most = rise(max(row[key] for rows in series.values() for row in rows))
    def across(i):
        return left + WIDTH * (i + 0.5) / len(loads)
    def up(value):
        return TOP + HEIGHT * (1 - value / most)
    parts = [text(left + WIDTH / 2, TOP - 14, title)]
    for i in range(5):
        y = up(most * i / 4)
        parts.append(f'<line x1="{left}" x2="{left + WIDTH}" y1="{y:.0f}" y2="{y:.0f}" stroke="#ddd"/>')
        parts.append(text(left - 6, y + 4, f"{most * i / 4:g}", "end"))
    parts += [text(across(i), TOP + HEIGHT + 18, f"{x:g}") for i, (x, _) in enumerate(loads)]
    for colour, (name, rows) in zip(COLOURS, series.items()):
        points = [(across(loads.index((row["x"], row["load"]))), up(row[key])) for row in rows]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
    return parts


def write(path, series):
    """series: rows of serve_load.summary by the name of the server."""
    parts = []
    for i, (title, key) in enumerate(PLOTS):
        parts += one_plot(LEFT + i * (WIDTH + GAP), title, key, series)
    below = TOP + HEIGHT + 48
    parts.append(text(LEFT, below, "load: requests at once, or a second", "start"))
    for i, (colour, name) in enumerate(zip(COLOURS, series)):
        parts.append(text(LEFT + WIDTH + GAP + 150 * i, below, name, "start", colour))
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + 2 * WIDTH + GAP + 20}" height="{below + 20}" '
                  'font-family="sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
                  + "\n".join(parts) + "</svg>\n")
