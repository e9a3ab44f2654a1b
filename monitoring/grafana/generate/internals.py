"""How the machinery is: actors, journal, memory, disk, and what watching it costs."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as model

from monitoring.grafana.generate.frame import dashboard
from monitoring.grafana.generate.panels import GREEN, RED, YELLOW, Looks, Says, figure, graph, of_venue

JOB = '{job="thunes"}'


def internals() -> model.Dashboard:
    return dashboard(
        "thunes-internals",
        "THUNES: internals",
        "Actors, journal, memory, disk, and what watching them costs.",
        [
            (8, [(12, _depth()), (12, _waiting())]),
            (7, [(6, _restarts()), (6, _dead_letters()), (6, _lines()), (6, _fsync())]),
            (7, [(8, _memory()), (8, _disk()), (8, _scrapes())]),
            (7, [(8, _up()), (4, _budget()), (12, _alerts())]),
            (8, [(24, _handled())]),
        ],
    )


def _depth() -> object:
    says = Says(1, "Mailbox Depth", "Messages that wait for each actor. A queue that stays is an actor too slow.")
    return graph(says, Looks("short", least=0), [(of_venue("thunes_mailbox_depth"), "{{actor}}")])


def _waiting() -> object:
    says = Says(2, "Mailbox Age", "How long the oldest message of each actor has waited.", "MailboxBacklog")
    looks = Looks("s", steps=((None, GREEN), (5, RED)), least=0)
    return graph(says, looks, [(of_venue("thunes_mailbox_oldest_seconds"), "{{actor}}")])


def _restarts() -> object:
    says = Says(
        3, "Actor Restarts", "In ten minutes; each is an error in THUNES, in full in its log.", "ActorRestarting"
    )
    looks = Looks("short", steps=((None, GREEN), (1, RED)), least=0)
    return graph(says, looks, [(of_venue("increase(thunes_actor_restarts_total[10m])"), "{{actor}}")])


def _dead_letters() -> object:
    says = Says(11, "Dead Letters", "Messages lost to a crash since the start; the journal names each.")
    looks = Looks("short", steps=((None, GREEN), (1, YELLOW)), decimals=0)
    return figure(says, looks, [(of_venue("thunes_dead_letters_total"), "{{instance}}")])


def _lines() -> object:
    says = Says(
        4,
        "Journal Lines a Second",
        "And the age of what waits for the disk. A HEARTBEAT is due a minute.",
        "JournalStalled",
    )
    queries = [
        (of_venue("deriv(thunes_journal_seq[5m])"), "lines a second"),
        (of_venue("thunes_journal_lag_seconds"), "oldest that waits, seconds"),
    ]
    return graph(says, Looks("short", least=0), queries)


def _fsync() -> object:
    says = Says(5, "Journal fsync", "Making a batch durable: every order waits for it.")
    seen = of_venue("rate(thunes_journal_fsync_ms_bucket[5m])")
    queries = [(f"histogram_quantile({q}, sum by (le) ({seen})) >= 0", f"p{int(q * 100)}") for q in (0.5, 0.95, 0.99)]
    return graph(says, Looks("ms", least=0), queries)


def _memory() -> object:
    says = Says(6, "Memory", "Resident. It stays flat; 1 GB is the alert and the limit of its container.", "MemoryHigh")
    looks = Looks("decbytes", steps=((None, GREEN), (1e9, RED)), least=0)
    return graph(says, looks, [(of_venue(f"process_resident_memory_bytes{JOB}"), "{{instance}}")])


def _disk() -> object:
    says = Says(
        7, "Disk", "Room left on the home's disk. Without room THUNES stops with the kill switch on.", "DiskFilling"
    )
    queries = [
        (of_venue("thunes_disk_free_bytes"), "free"),
        (of_venue("0.1 * thunes_disk_size_bytes"), "alert"),
    ]
    return graph(says, Looks("decbytes", least=0), queries)


def _scrapes() -> object:
    says = Says(
        8,
        "Scrape Time",
        "What an answer to Prometheus takes on the clock and of the processor. The difference is waiting for the GIL.",
    )
    scrapes = of_venue("rate(thunes_scrapes_total[5m])")
    queries = [
        (f"({of_venue('rate(thunes_scrape_seconds_total[5m])')}) / ({scrapes})", "wall"),
        (f"({of_venue('rate(thunes_scrape_cpu_seconds_total[5m])')}) / ({scrapes})", "processor"),
        (of_venue(f"scrape_duration_seconds{JOB}"), "as Prometheus sees it"),
    ]
    return graph(says, Looks("s", steps=((None, GREEN), (0.1, RED)), least=0), queries)


def _up() -> object:
    says = Says(
        9, "Up and Uptime over 7 days", "Whether Prometheus reaches it, and how much of a week it did.", "ScrapeMissing"
    )
    queries = [(f"up{JOB}", "up"), ("thunes:uptime_ratio:7d", "of the last 7 days")]
    return graph(says, Looks("percentunit", least=0, most=1), queries, steps=True)


def _budget() -> object:
    says = Says(12, "Error Budget", "Of the hour and 40 minutes a week that a goal of 99 % leaves, what is left.")
    looks = Looks("percentunit", steps=((None, RED), (0, YELLOW), (0.5, GREEN)), decimals=0, most=1)
    return figure(says, looks, [("thunes:error_budget_remaining:7d", "{{instance}}")])


def _alerts() -> object:
    says = Says(
        10, "Alert Delivery", "What THUNES tells by itself: attempts a minute, and what waits.", "AlertsUndelivered"
    )
    sent = of_venue("rate(thunes_alerts_sent_total[5m])")
    queries = [
        (of_venue("thunes_alerts_pending"), "waiting"),
        (f"sum by (channel, outcome) (60 * {sent})", "{{channel}} {{outcome}}"),
    ]
    return graph(says, Looks("short", steps=((None, GREEN), (1, YELLOW)), least=0), queries)


def _handled() -> object:
    says = Says(13, "Messages Handled", "A second, by actor; a busy one beside an idle system is worth a look.")
    expr = of_venue("rate(thunes_messages_handled_total[$__rate_interval])")
    return graph(says, Looks("ops", least=0), [(expr, "{{actor}}")], stacked=True)
