"""An agent that uses tools: it thinks with model="auto", and the gateway keeps one model inside each tool loop.

Runs with the OpenAI SDK alone (pip install openai). An agent framework does the same through its own setting for an
OpenAI-compatible server: name this gateway's /v1 there and `auto` as the model. README.md says how for AIOS.
"""

import json
import os
import sys
from datetime import UTC, datetime

from openai import OpenAI

MOST_STEPS = 8
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "Add numbers.",
            "parameters": {
                "type": "object",
                "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
                "required": ["numbers"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "today",
            "description": "Today's date.",
            "parameters": {"type": "object", "properties": {}},
        },
    },
]


def add(numbers):
    return sum(numbers)


def today():
    return datetime.now(UTC).date().isoformat()


def run(task, client):
    """Steps until the model answers without calling a tool."""
    messages = [
        {"role": "system", "content": "Solve the task. Use the tools where they help; answer in one sentence."},
        {"role": "user", "content": task},
    ]
    for step in range(1, MOST_STEPS + 1):
        raw = client.chat.completions.with_raw_response.create(
            model="auto",
            messages=messages,
            tools=TOOLS,
            extra_body={"routing": {"session": f"agent-{os.getpid()}"}},
        )
        message = raw.parse().choices[0].message
        print(f"step {step}: {raw.headers['x-paretogate-model']}")
        if not message.tool_calls:
            return message.content
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            tool = {"add": add, "today": today}[call.function.name]
            result = tool(**json.loads(call.function.arguments or "{}"))
            print(f"  {call.function.name}({call.function.arguments}) = {result}")
            messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(result)})
    return "it took too many steps"


if __name__ == "__main__":
    agent = OpenAI(
        base_url=os.environ.get("PARETOGATE_URL", "http://localhost:8080/v1"),
        api_key=os.environ.get("PARETOGATE_API_KEY", "none"),
    )
    print("answer:", run(" ".join(sys.argv[1:]) or "What is 19 plus 23?", agent))
