"""Prints the templates named as JSON, as cfn-lint reads them, and what CloudFormation's schemas say about their types:
{"templates": {path: template}, "permissions": {type: [actions that creating, updating and deleting needs]}}.
"""

import json
import sys

from cfnlint.decode import decode
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

templates, permissions = {}, {}
for path in sys.argv[1:]:
    template, problems = decode(path)
    if template is None or problems:
        sys.exit(f"{path}: {problems}")
    templates[path] = template
    for kind in {resource["Type"] for resource in template["Resources"].values()}:
        handlers = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema.get("handlers", {})
        needed = (handlers.get(verb, {}).get("permissions", []) for verb in ("create", "update", "delete"))
        permissions[kind] = sorted({action for actions in needed for action in actions})
print(json.dumps({"templates": templates, "permissions": permissions}))
