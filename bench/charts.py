# SPDX-License-Identifier: LGPL-2.1-or-later
"""Charts of a workload as SVG: a panel for residency, for free memory and for migrated bytes, a line for each manager."""

from xml.sax.saxutils import escape

WIDTH, HEIGHT = 1180, 420
PANEL_WIDTH, PANEL_HEIGHT = 300, 250
LEFT, TOP, GAP = 60, 70, 90
# Told apart with any eyes (Okabe and Ito, Color Universal Design, 2008), and by dashes.
COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#a08c00", "#0072b2", "#d55e00", "#cc79a7", "#888888", "#7a3e9d")
DASHES = ("", "6 3", "2 2", "8 3 2 3")


def nice_step(span, ticks=5):
    """1, 2 or 5 times a power of ten, so that about `ticks` of them make the span."""
    step = 1.0
    while step * ticks > span:
        step /= 10
    while step * ticks * 10 <= span:
        step *= 10
    return next((step * factor for factor in (1, 2, 5) if step * factor * ticks >= span), step * 10)


def number(value):
    return ("%.1f" % value).rstrip("0").rstrip(".") if abs(value) < 1000 else "%d" % value


def panel(left, title, unit, lines, x_max, y_max=None):
    """lines: [(style, [(x, y)])]"""
    highest = y_max or max((y for _, points in lines for _, y in points), default=1) or 1
    step = nice_step(highest)
    top = y_max or step * (int(highest / step) + 1)
    out = ['<g transform="translate(%d %d)">' % (left, TOP),
           '<text x="0" y="-12" font-weight="bold">%s</text>' % escape(title)]
    y = 0.0
    while y <= top * 1.0001:
        at = PANEL_HEIGHT - y / top * PANEL_HEIGHT
        out.append('<path d="M0 %.1fH%d" stroke="#ddd"/><text x="-6" y="%.1f" text-anchor="end">%s</text>' %
                   (at, PANEL_WIDTH, at + 4, number(y)))
        y += step
    x_step = nice_step(x_max, 6)
    x = 0.0
    while x <= x_max * 1.0001:
        at = x / x_max * PANEL_WIDTH
        out.append('<path d="M%.1f %dv4" stroke="#333"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>' %
                   (at, PANEL_HEIGHT, at, PANEL_HEIGHT + 18, number(x)))
        x += x_step
    out.append('<path d="M0 0V%dH%d" fill="none" stroke="#333"/>' % (PANEL_HEIGHT, PANEL_WIDTH))
    out.append('<text x="%d" y="%d" text-anchor="middle">seconds</text>' % (PANEL_WIDTH // 2, PANEL_HEIGHT + 36))
    out.append('<text transform="translate(-46 %d) rotate(-90)" text-anchor="middle">%s</text>' % (PANEL_HEIGHT // 2, escape(unit)))
    for style, points in lines:
        if points:
            path = "L".join("%.1f %.1f" % (x / x_max * PANEL_WIDTH, PANEL_HEIGHT - min(y, top) / top * PANEL_HEIGHT) for x, y in points)
            out.append('<path d="M%s" fill="none" stroke-width="1.8" %s/>' % (path, style))
    out.append("</g>")
    return out


def chart(title, panels, managers, everyone, x_max):
    """panels: [(title, unit, {manager: [(x, y)]}, highest y or None)]. Of everyone each has one colour, whoever is in the chart."""
    styles = {manager: 'stroke="%s" stroke-dasharray="%s"' % (COLOURS[i % len(COLOURS)], DASHES[i % len(DASHES)])
              for i, manager in enumerate(everyone)}
    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12">' % (WIDTH, HEIGHT),
           '<rect width="%d" height="%d" fill="#fff"/>' % (WIDTH, HEIGHT),
           '<text x="%d" y="26" font-size="16" font-weight="bold">%s</text>' % (LEFT, escape(title))]
    for i, (name, unit, lines, highest) in enumerate(panels):
        out += panel(LEFT + i * (PANEL_WIDTH + GAP), name, unit, [(styles[m], lines[m]) for m in managers if m in lines], x_max, highest)
    x = LEFT
    for manager in managers:
        out.append('<path d="M%d %dh28" stroke-width="2.4" %s/><text x="%d" y="%d">%s</text>' %
                   (x, HEIGHT - 22, styles[manager], x + 34, HEIGHT - 18, escape(manager)))
        x += 48 + 7 * len(manager)
    return "\n".join(out + ["</svg>"]) + "\n"
