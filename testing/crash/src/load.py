# The load and its memory: what was asked, what was answered, and so what must be true after every crash.
#
# Reads a command a line on standard input and answers a line on standard output, both JSON. Comes after kit's BOTO.

import collections, os, pty, queue, random, re, subprocess, threading
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

MARKS, PATIENCE, BERTH, NODE_DIR = sys.argv[1], float(sys.argv[2]), sys.argv[3], sys.argv[4]
GROUP = "crash"
LIVE_MAX, SERVICES_MAX, LINES_MAX, SESSIONS_MAX = 10, 2, 40, 3
# Nobody listens on this port.
NOBODY = "127.0.0.1:9"
MARKED = {"sourceVolume": "marks", "containerPath": "/marks"}
ASIDE = {"image": "crash:1", "memory": 16, "essential": False, "stopTimeout": 2}
# What containers and their tasks have besides what each has, and who is beside them: a family each. The first is the most usual one.
KINDS = {
    "plain": ({}, {}),
    "init": ({"linuxParameters": {"initProcessEnabled": True}}, {}),
    "terminal": ({"pseudoTerminal": True, "interactive": True}, {}),
    "ports": ({"portMappings": [{"containerPort": 80}, {"containerPortRange": "90-92"}]}, {}),
    "probed": ({"environment": [{"name": "SERVE", "value": "80"}], "dockerLabels": {
        "berth.health.http": "80/", "berth.health.interval": "5", "berth.ready.tcp": "80", "berth.ready.interval": "5"}}, {}),
    "volume": ({"mountPoints": [MARKED, {"sourceVolume": "own", "containerPath": "/own"}]},
               {"volumes": [{"name": "marks", "host": {"sourcePath": MARKS}}, {"name": "own"}]}),
    "restarting": ({"restartPolicy": {"enabled": True, "restartAttemptPeriod": 60}}, {}),
    "second": ({"dependsOn": [{"containerName": "first", "condition": "SUCCESS"}]}, {},
               {**ASIDE, "name": "first", "command": ["first", "3", "0", "0"], "mountPoints": [MARKED]}),
    "routed": ({"logConfiguration": {"logDriver": "awsfirelens", "options": {"Name": "stdout"}}}, {},
               {**ASIDE, "name": "router", "command": ["router"], "firelensConfiguration": {"type": "fluentbit"}}),
    "file": ({"logConfiguration": {"logDriver": "json-file"}}, {}),
    "limited": ({"healthCheck": {"command": ["CMD", "/program", "health", "0", "0", "0"], "interval": 5}},
                {"cpu": "128", "memory": "32"}),
    "shared": ({}, {"pidMode": "task", "ipcMode": "task"}),
    "fluentd": ({"logConfiguration": {"logDriver": "fluentd", "options": {
        "fluentd-address": NOBODY, "fluentd-async": "true"}}}, {}),
    "syslog": ({"logConfiguration": {"logDriver": "syslog", "options": {"syslog-address": f"udp://{NOBODY}"}}}, {}),
}
# Their lines are on the node only, and there at least for so many seconds after their end.
ON_NODE, KEPT = {"fluentd", "syslog", "routed", "file"}, 40
REVISIONS, DEFINITIONS = 3, 20
# What an answer may be while the control plane or the agent is away. Nothing was done then.
NOT_NOW = {"ThrottlingException", "ServerException", "ServiceUnavailableException", "InternalFailure", "500", "503"}
session = Config(retries={"max_attempts": 0}, connect_timeout=2, read_timeout=10, max_pool_connections=8)
ecs, logs = boto3.client("ecs", config=session), boto3.client("logs", config=session)
# The next attempts of a load that goes on while everything dies.
lock = threading.RLock()


class Away(Exception):
    """No answer: what was asked for may have happened, or not."""


def ask(call, **input):
    try:
        return call(**input)
    except ClientError as error:
        if error.response["Error"]["Code"] in NOT_NOW:
            raise Away(str(error))
        raise
    except (BotoCoreError, HTTPClientError, OSError) as error:
        raise Away(str(error))


def surely(call, **input):
    """For questions: asks until there is an answer."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ask(call, **input)
        except Away:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


class Task:
    def __init__(self, run, arn):
        self.run, self.arn, self.id = run, arn, arn.rsplit("/", 1)[1]
        self.stop = "no"  # or "tried", or "acknowledged"
        self.lines_seen, self.is_read = 0, False


class Run:
    """One RunTask, which is repeated with its client token until it is answered."""

    def __init__(self, name, kind, count, lines, pause, code, may_execute):
        self.name, self.kind, self.count = name, kind, count
        self.lines, self.pause, self.code, self.may_execute = lines, pause, code, may_execute
        self.tasks, self.refusal = None, None
        # Its shims may have been killed: then the end of a container is theirs.
        self.shims_killed = lenient

    def ask(self):
        words = [self.name, str(self.lines), str(self.pause), str(self.code)]
        overrides = {"containerOverrides": [{"name": "c", "command": words}]}
        answer = ask(ecs.run_task, taskDefinition=f"crash-{self.kind}", count=self.count, startedBy=self.name,
                     clientToken=self.name, overrides=overrides, enableExecuteCommand=self.may_execute)
        if not answer["tasks"]:
            self.refusal = answer["failures"]
            return False
        arns = [task["taskArn"] for task in answer["tasks"]]
        with lock:
            # Two clients may have asked at once; what one of them did with the tasks since is remembered.
            if self.tasks is None:
                self.tasks = [Task(self, arn) for arn in arns]
            assert [task.arn for task in self.tasks] == arns, f"{self.name} was run twice: {self.tasks} and {arns}"
        return True


class Service:
    def __init__(self, name):
        self.name = name
        self.made = "tried"
        self.desired, self.revisions = set(), {1}
        self.deleted = "no"


runs, services, definitions = [], {}, {}
finished = collections.deque(maxlen=200)
lenient, load, counted = False, None, collections.Counter()


def register(family, task={}, *beside, **more):
    container = {
        # A first process that has no handler yet does not hear the signal.
        "name": "c", "image": "crash:1", "memory": 16, "essential": True, "stopTimeout": 2,
        "mountPoints": [MARKED],
        "logConfiguration": {"logDriver": "awslogs", "options": {
            "awslogs-group": GROUP, "awslogs-region": "us-east-1", "awslogs-create-group": "true",
            "awslogs-stream-prefix": "s"}}}
    container.update(more)
    task = {"volumes": [{"name": "marks", "host": {"sourcePath": MARKS}}], **task}
    answer = ask(ecs.register_task_definition, family=family, containerDefinitions=[container, *beside], **task)
    return answer["taskDefinition"]["revision"]


class Load:
    """A few clients at once, each with its own order of things to do."""

    def __init__(self, seed):
        self.over = threading.Event()
        self.troubles = queue.Queue()
        self.sessions = []
        self.threads = [threading.Thread(target=self.client, args=(seed * 10 + n,)) for n in range(3)]
        for thread in self.threads:
            thread.start()

    def client(self, seed):
        dice = random.Random(seed)
        number = 0
        while not self.over.is_set():
            number += 1
            try:
                self.act(dice, f"{seed}-{number}")
                counted["acknowledged"] += 1
            except Away:
                counted["unanswered"] += 1
                time.sleep(0.01)
            except Exception as error:
                self.troubles.put(f"{type(error).__name__}: {error}")
                return

    def act(self, dice, name):
        with lock:
            # Who was not answered asks once more: else there are more tasks in each round.
            live = [task for run in runs for task in run.tasks or [] if task.stop != "acknowledged"]
            waiting = [run for run in runs if run.tasks is None]
        what = dice.choices(
            ["run", "stop", "again", "register", "create", "update", "delete", "execute"], [10, 4, 3, 1, 1, 2, 1, 2])[0]
        if what == "run" and len(live) + len(waiting) < LIVE_MAX:
            code = dice.choice(["wait", 0, 1, 7, 42, 255])
            kind = dice.choices(list(KINDS), [7] + [1] * (len(KINDS) - 1))[0]
            run = Run(f"run-{name}", kind, dice.choice([1, 1, 1, 2]), dice.randrange(LINES_MAX),
                      dice.choice([0, 0, 1, 5]), code, dice.choice([True, False]))
            with lock:
                runs.append(run)
            run.ask()
        elif what == "again" and waiting:
            dice.choice(waiting).ask()
        elif what == "stop" and live:
            task = dice.choice(live)
            task.stop = "tried"
            ask(ecs.stop_task, task=task.arn)
            task.stop = "acknowledged"
        elif what == "execute" and sum(session.poll() is None for session, _ in self.sessions) < SESSIONS_MAX:
            able = [task for task in live if task.run.may_execute and task.run.code == "wait" and task.stop == "no"]
            if able:
                self.execute(dice.choice(able), name, dice.choice([True, False]))
        elif what == "register":
            revision = register(f"family-{name}", command=[name, "0", "0", "0"])
            assert revision == 1, revision
            definitions[f"family-{name}"] = revision
        elif what == "create" and sum(service.deleted == "no" for service in services.values()) < SERVICES_MAX:
            service = services[f"service-{name}"] = Service(f"service-{name}")
            service.desired = {dice.randrange(3)}
            how = dice.choice([{"strategy": "ROLLING"}, {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0}])
            ask(ecs.create_service, serviceName=service.name, taskDefinition="crash-service:1",
                desiredCount=min(service.desired), deploymentConfiguration=how)
            service.made = "acknowledged"
        elif what in ("update", "delete"):
            with lock:
                # One client for each service, or nobody could say which of two changes came last.
                mine = [s for s in services.values() if s.made == "acknowledged" and s.deleted == "no"
                        and s.name.split("-")[1] == name.split("-")[0]]
            if not mine:
                return
            service = dice.choice(mine)
            if what == "delete":
                service.deleted = "tried"
                ask(ecs.delete_service, service=service.name, force=True)
                service.deleted = "acknowledged"
            elif dice.choice([True, False]):
                revision = dice.randint(1, REVISIONS)
                service.revisions = service.revisions | {revision}
                ask(ecs.update_service, service=service.name, taskDefinition=f"crash-service:{revision}")
                service.revisions = {revision}
            else:
                count = dice.randrange(4)
                service.desired = service.desired | {count}
                ask(ecs.update_service, service=service.name, desiredCount=count)
                service.desired = {count}

    def execute(self, task, name, in_terminal):
        """Opens a session, which lasts as long as the load if nothing dies before. Its program ends only with it."""
        command = [BERTH, "exec", task.id, "--", "/program", f"exec-{os.getpid()}-{name}", "1", "0", "wait"]
        more = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        ours = theirs = None
        if in_terminal:
            ours, theirs = pty.openpty()
            more = {"stdin": theirs, "stdout": theirs}
        session = subprocess.Popen(command, stderr=subprocess.DEVNULL, **more)
        if theirs is not None:
            os.close(theirs)
        self.sessions.append((session, ours))

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for session, ours in self.sessions:
            session.kill()
            session.wait()
            if ours is not None:
                os.close(ours)
            elif session.stdin:
                session.stdin.close()
        assert self.troubles.empty(), self.troubles.get()


def marks(name):
    """How often containers of this name began and ended, by who they were."""
    try:
        lines = open(f"{MARKS}/{name}").read().splitlines()
    except FileNotFoundError:
        lines = []
    words = [line.split() for line in lines]
    return [w[1] for w in words if w[0] == "begin"], {w[1]: int(w[2]) for w in words if w[0] == "end"}


def messages(task):
    """The lines of a task's log as a client reads them."""
    stream, token, events = f"s/c/{task.id}", {}, []
    while True:
        try:
            page = surely(logs.get_log_events, logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceNotFoundException", error
            return []
        # A terminal ends lines in its own way.
        events += [event["message"].removesuffix("\r") for event in page["events"]]
        if token.get("nextToken") == page["nextForwardToken"]:
            return events
        token = {"nextToken": page["nextForwardToken"]}


def on_node(task):
    """The same as the node knows it; nothing of a task that it never heard of."""
    end = time.monotonic() + PATIENCE
    while True:
        said = subprocess.run([BERTH, "logs", "--node", "--data-dir", NODE_DIR, task.id], capture_output=True, text=True)
        if said.returncode == 0:
            return re.findall(r"line \d+$", said.stdout, re.MULTILINE)
        if "has no log of" in said.stderr:
            return []
        assert time.monotonic() < end, f"berth logs --node {task.id}: {said.stderr}"
        time.sleep(0.02)


def describe(tasks):
    found = {}
    for start in range(0, len(tasks), 100):
        some = tasks[start:start + 100]
        answer = surely(ecs.describe_tasks, tasks=[task.arn for task in some])
        assert not answer["failures"], f"acknowledged tasks are lost: {answer['failures']}"
        found.update({task["taskArn"]: task for task in answer["tasks"]})
    return found


def why_not_settled(task, now):
    """Why a task is not yet as it must become."""
    run, status = task.run, now["lastStatus"]
    if task.stop == "acknowledged" and status != "STOPPED":
        return f"{task.id} was stopped and is {status}"
    if run.code != "wait" and status != "STOPPED":
        return f"{task.id} of {run.name} ends by itself and is {status}"
    if run.code == "wait" and task.stop == "no" and not run.shims_killed and status != "RUNNING":
        return f"{task.id} of {run.name} must run and is {status}: {now.get('stoppedReason')} {now['containers']}"
    return None if status in ("RUNNING", "STOPPED") else f"{task.id} is {status}"


def check_stopped(task, now, ends):
    run, container = task.run, next(container for container in now["containers"] if container["name"] == "c")
    code, reason = container.get("exitCode"), now.get("stoppedReason")
    what = f"{task.id} of {run.name} ({run.kind}, {run.code}, stop {task.stop}): {code} {reason} {container.get('reason')}"
    if task.stop == "no" and not run.shims_killed:
        assert code == run.code, f"an exit code is lost: {what}"
    elif not run.shims_killed and run.code == "wait":
        # Before its handler is in place a signal ends it; before it is started nothing does.
        assert code in (0, 143, 137, None), f"a strange exit code: {what}"
    elif not run.shims_killed:
        assert code in (run.code, 0, 143, 137, None), f"a strange exit code: {what}"
    if task.stop == "no":
        assert now["stopCode"] in ("EssentialContainerExited",) or run.shims_killed, f"a strange end: {what}"


def check_log(task, ended):
    run = task.run
    if run.kind in ON_NODE and (task.is_read or not ended) or run.kind == "restarting" and run.shims_killed:
        return True
    said = on_node(task) if run.kind in ON_NODE else messages(task)
    expected = [f"line {n}" for n in range(1, len(said) + 1)]
    assert said == expected, f"log lines are lost or doubled: {task.id} of {run.name} said {said}"
    assert len(said) >= task.lines_seen, f"log lines are lost again: {task.id} had {task.lines_seen}, has {len(said)}"
    task.lines_seen = len(said)
    whole = task.stop == "no" and not run.shims_killed
    task.is_read = ended and (not whole or len(said) == run.lines)
    return task.is_read or not (ended and whole)


def settle(wait, why):
    """Waits until nothing is said to be missing."""
    end = time.monotonic() + PATIENCE
    while (missing := why()) is not None:
        assert time.monotonic() < end, f"it does not settle: {missing}"
        time.sleep(wait)


def check():
    # Whoever has no answer asks once more, with the same token: then there is exactly one set of tasks.
    end = time.monotonic() + PATIENCE
    for run in runs:
        while run.tasks is None:
            try:
                if run.ask():
                    break
            except Away as away:
                run.refusal = str(away)
            assert time.monotonic() < end, f"{run.name} is never answered: {run.refusal}"
            time.sleep(0.02)
        assert len(run.tasks) == run.count, f"{run.name} asked for {run.count} and has {run.tasks}"
    tasks = [task for run in runs for task in run.tasks]
    now = {}

    def unsettled():
        now.update(describe(tasks))
        return next((why for task in tasks if (why := why_not_settled(task, now[task.arn]))), None)

    settle(0.02, unsettled)
    live, verified = [], []
    for run in runs:
        begun, ends = marks(run.name)
        # One that has lived for a minute is started again when its shim is killed.
        begun = set(begun) if run.kind == "restarting" and run.shims_killed else begun
        assert len(begun) == len(set(begun)), f"a container of {run.name} began twice: {begun}"
        ran = [task for task in run.tasks if now[task.arn].get("startedAt")]
        assert len(begun) <= run.count, f"{run.name} has {run.count} tasks and {len(begun)} containers"
        if not run.shims_killed:
            assert len(begun) >= sum(task.stop == "no" for task in ran), f"{run.name} has {len(ran)} tasks, {len(begun)} began"
        for task in run.tasks:
            stopped = now[task.arn]["lastStatus"] == "STOPPED"
            if stopped:
                check_stopped(task, now[task.arn], ends)
            else:
                live.append(task.id)
            settle(0.02, lambda: None if check_log(task, stopped) else f"log lines of {task.id} are missing")
        if all(now[task.arn]["lastStatus"] == "STOPPED" for task in run.tasks):
            verified.append(run)
    for task in describe(list(finished)).values():
        assert task["lastStatus"] == "STOPPED", f"{task['taskArn']} lives again"
    kept = [task for task in finished if task.run.kind in ON_NODE]
    if kept:
        task = random.choice(kept)
        now = describe([task])[task.arn]
        stopped = now.get("executionStoppedAt", now["stoppedAt"]).timestamp()
        said = on_node(task)
        assert len(said) == task.lines_seen or time.time() - stopped > KEPT, f"{task.id} had {task.lines_seen} lines, has {said}"
    live += check_services()
    # The newest, and some of the others: there are more in each round.
    known = list(definitions.items())
    for family, revision in known[-DEFINITIONS:] + random.sample(known, min(DEFINITIONS, len(known))):
        found = surely(ecs.describe_task_definition, taskDefinition=f"{family}:{revision}")["taskDefinition"]
        assert found["status"] == "ACTIVE", found
    for run in verified:
        runs.remove(run)
        finished.extend(run.tasks[:1])
    check_nobody_else(live)
    counted["tasks"] += sum(len(run.tasks) for run in verified)
    return live


def check_services():
    live = []
    for service in list(services.values()):
        def described():
            found = surely(ecs.describe_services, services=[service.name])["services"]
            return found[0] if found else None
        now = described()
        assert now or service.made == "tried", f"{service.name} is lost"
        if not now:
            del services[service.name]
            continue
        service.made = "acknowledged"
        if service.deleted != "no" and now["status"] != "ACTIVE" or service.deleted == "acknowledged":
            assert now["status"] != "ACTIVE", f"{service.name} was deleted and is {now['status']}"
            listed = lambda: surely(ecs.list_tasks, serviceName=service.name)["taskArns"]
            settle(0.02, lambda: f"{service.name} is deleted and has tasks" if listed() else None)
            del services[service.name]
            continue
        service.deleted = "no"
        assert now["desiredCount"] in service.desired, f"{service.name}: {now['desiredCount']}, asked {service.desired}"
        service.desired = {now["desiredCount"]}
        revision = int(now["taskDefinition"].rsplit(":", 1)[1])
        assert revision in service.revisions, f"{service.name} has {revision}, asked {service.revisions}"
        service.revisions = {revision}

        def unsettled():
            n = described()
            counts = n["runningCount"], n["pendingCount"], n["desiredCount"]
            states = [d["rolloutState"] for d in n["deployments"]]
            steady = counts[0] == counts[2] and not counts[1] and states == ["COMPLETED"]
            return None if steady else f"{service.name} has {counts}, {states}: {n['events'][:3]}"

        settle(0.02, unsettled)
        arns = surely(ecs.list_tasks, serviceName=service.name, desiredStatus="RUNNING")["taskArns"]
        assert len(arns) == now["desiredCount"], (arns, now)
        tasks = surely(ecs.describe_tasks, tasks=arns)["tasks"] if arns else []
        of = {task["taskDefinitionArn"] for task in tasks}
        assert of <= {now["taskDefinition"]}, f"{service.name} is to run {now['taskDefinition']}, and runs {of}"
        live += [arn.rsplit("/", 1)[1] for arn in arns]
    return live


def check_nobody_else(live):
    """No task runs that nobody asked for."""
    def others():
        arns, token = [], {}
        while True:
            page = surely(ecs.list_tasks, desiredStatus="RUNNING", **token)
            arns += page["taskArns"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        running = {arn.rsplit("/", 1)[1] for arn in arns}
        # A service may still be taking tasks away that it has too many of.
        return None if running == set(live) else f"running are {running}, and should be {set(live)}"
    settle(0.02, others)


def obey(command):
    global load, lenient
    what = command["do"]
    if what == "begin":
        lenient = lenient or command["lenient"]
        if lenient:
            for run in runs:
                run.shims_killed = True
        load = Load(command["seed"])
    elif what == "end":
        load.end()
        load = None
    elif what == "shims":
        for run in runs:
            run.shims_killed |= run.tasks is None or any(task.id in command["killed"] for task in run.tasks)
    elif what == "check":
        if lenient:
            for run in runs:
                run.shims_killed = True
        lenient = False
        return {"live": check()}
    elif what == "prepare":
        for kind, (container, task, *beside) in KINDS.items():
            surely_register(f"crash-{kind}", task, *beside, command=["nobody", "0", "0", "0"], **container)
        for _ in range(REVISIONS):
            surely_register("crash-service", command=["service", "3", "0", "wait"])
    elif what == "count":
        return dict(counted)
    return {}


def surely_register(family, task={}, *beside, **more):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return register(family, task, *beside, **more)
        except Away:
            assert time.monotonic() < end, "the server does not answer"
            time.sleep(0.02)


for line in sys.stdin:
    try:
        answer = {"ok": True, **obey(json.loads(line))}
    except Exception as error:
        import traceback
        answer = {"ok": False, "error": f"{error}", "trace": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
