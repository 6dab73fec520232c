"""Notification hooks: nothing is sent, each event is one line in ``logs/notifications.jsonl``."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from dbx_cd.local.rest.job_runs import JobRun, TaskRun, now_ms


class Notifications:
    """Records which hooks of ``email_notifications`` and ``webhook_notifications`` an event would have called."""

    def __init__(self, log_file: Path) -> None:
        self._log_file = log_file
        self._lock = threading.Lock()

    def run_event(self, event: str, run: JobRun) -> None:
        """``on_start``, ``on_success`` or ``on_failure`` of a run."""
        self._record(event, run.settings, {"run_id": run.run_id, "job": run.name, "result": run.state.result_state})

    def task_event(self, event: str, run: JobRun, attempt: TaskRun) -> None:
        """``on_start``, ``on_success`` or ``on_failure`` of one attempt at a task."""
        about = {"run_id": run.run_id, "job": run.name, "task_key": attempt.task_key}
        self._record(event, attempt.settings, {**about, "result": attempt.state.result_state})

    def _record(self, event: str, settings: dict[str, Any], about: dict[str, Any]) -> None:
        emails = (settings.get("email_notifications") or {}).get(event) or []
        webhooks = [hook["id"] for hook in (settings.get("webhook_notifications") or {}).get(event) or []]
        if not emails and not webhooks:
            return
        line = {"at_ms": now_ms(), "event": event, **about, "emails": emails, "webhooks": webhooks, "sent": False}
        with self._lock:
            self._log_file.parent.mkdir(parents=True, exist_ok=True)
            with self._log_file.open("a", encoding="utf-8") as log:
                log.write(json.dumps(line, ensure_ascii=False) + "\n")
