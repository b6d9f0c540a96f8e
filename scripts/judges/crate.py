"""Judges bundles by rocrate-validator, with the RO-Crate context of a package instead of the network's.

Usage: crate.py FOLDER...   needs: roc-validator 0.13, rocrate 0.13 (which carries the 1.1 context)
"""

import json
import sys
from importlib.resources import files

from rocrate_validator.utils import document_loader, http

CONTEXT = "https://w3id.org/ro/crate/1.1/context"
known = {CONTEXT: json.loads((files("rocrate") / "data" / "ro-crate.jsonld").read_text())}
assert known[CONTEXT]["@id"] == CONTEXT, "install rocrate 0.13: another version has another context"


def of_package(url):
    """The context; nothing else is looked up."""
    return known[url.split("#")[0]]


class Answer:
    """What a request for the context is answered."""

    status_code = 200
    content_type = "application/ld+json"
    headers = {"Content-Type": content_type}

    def __init__(self, url):
        self.value = of_package(url)
        self.text = json.dumps(self.value)

    def json(self):
        return self.value


document_loader._fetch_json_ld = of_package
http.HttpRequester.get = lambda _requester, url, **_options: Answer(url)

from rocrate_validator import services  # noqa: E402
from rocrate_validator.models import Severity, ValidationSettings  # noqa: E402

failed = False
for folder in sys.argv[1:]:
    for profile, severity in [
        ("process-run-crate-0.5", Severity.REQUIRED),
        ("ro-crate-1.1", Severity.RECOMMENDED),
        ("process-run-crate-0.5", Severity.RECOMMENDED),
    ]:
        settings = ValidationSettings(
            rocrate_uri=folder, profile_identifier=profile, requirement_severity=severity
        )
        result = services.validate(settings)
        issues = result.get_issues()
        print(f"{folder}: {profile}, {severity.name.lower()}: {len(issues)} issues")
        for issue in issues:
            print("  ", issue.severity.name, issue.message, issue.violatingEntity or "")
        failed |= severity is Severity.REQUIRED and bool(issues)
sys.exit(failed)
