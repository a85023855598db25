"""The inside of chaos.sh: runs in network, mount and process namespaces of its own, so everything it starts, mounts and configures ends with it.

The cluster: `openebs server`, five times, one SQLite file. Node i is at 10.77.0.i in namespace n<i>, on a bridge; initiators, REST calls and this script are at 10.77.0.254.
pool-4 is a small ext4 on a loop device (it can be filled), pool-5 an ext4 on a loop device on faultdisk (it can break)."""
import argparse, collections, json, os, random, re, signal, sqlite3, subprocess, sys, threading, time, urllib.error, urllib.request

WORK, LOGS = os.environ["CHAOS_WORK"], os.environ["CHAOS_LOGS"]
NODES, HUB = 5, "10.77.0.254"
IO_TIMEOUT, HEALTHY_WITHIN, REPLACEMENT_DELAY = 120, 150, 30
HOLE = "02:00:00:00:ff:ff"  # nobody's: what is sent there is dropped without a word
MIB = 1 << 20

KINDS = {
    # kind: (weight, what it does)
    "kill": (4, "SIGKILL; started again after up to 8 s"),
    "kill-long": (1, "SIGKILL; away for longer than the replacement delay"),
    "kill-two": (2, "SIGKILL of two nodes at once"),
    "kill-all": (1, "SIGKILL of all nodes at once"),
    "pause-short": (3, "SIGSTOP for less than a lease or about as long"),
    "pause-long": (3, "SIGSTOP for longer than leases and membership time-outs, then SIGCONT"),
    "cut": (3, "a node and the others do not hear each other (its initiators and the metadata store do)"),
    "cut-one-way": (3, "the others do not hear a node, it hears them"),
    "cut-pair": (2, "two nodes do not hear each other, all others hear both"),
    "metadata": (3, "the metadata store is locked exclusively by somebody else"),
    "disk-full": (2, "somebody else's file fills a pool but for little more than the reserve"),
    "disk-errors": (2, "writes and flushes of a pool's disk fail with EIO; then it heals, after e2fsck"),
    "disk-lost": (1, "the same, then an empty disk takes its place"),
    "disk-slow": (1, "every write to a pool's disk takes 40 ms longer"),
    "rolling": (2, "every node in turn is stopped with SIGTERM and started again"),
}


def run(*args, check=True):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and done.returncode: raise RuntimeError(f"{' '.join(args)}: {done.stdout.strip()}")
    return done.stdout


START = time.monotonic()
_log, _log_lock = open(f"{LOGS}/chaos.log", "w"), threading.Lock()


def log(text):
    with _log_lock:
        line = f"{time.strftime('%H:%M:%S')} {time.monotonic() - START:8.1f} {text}"
        print(line, file=_log, flush=True)
        print("  " + line, flush=True)


class Node:
    def __init__(self, number):
        self.number, self.name, self.ip, self.ns = number, f"node-{number}", f"10.77.0.{number}", f"n{number}"
        self.pool, self.held, self.process, self.died, self.starts, self.paused = f"{WORK}/pool-{number}", False, None, None, 0, False
        self.lock = threading.RLock()

    def configure(self):
        run("ip", "netns", "add", self.ns)
        run("ip", "link", "add", f"v{self.number}", "type", "veth", "peer", "name", "eth0", "netns", self.ns)
        run("ip", "link", "set", f"v{self.number}", "master", "hub", "up")
        run("ip", "-n", self.ns, "link", "set", "lo", "up")
        run("ip", "-n", self.ns, "addr", "add", f"{self.ip}/24", "dev", "eth0")
        run("ip", "-n", self.ns, "link", "set", "eth0", "up")
        os.makedirs(self.pool, exist_ok=True)
        options = {"ClusterId": "chaos", "NodeName": self.name, "BindAddress": self.ip, "Pools": [{"Id": f"pool-{self.number}", "Path": self.pool + "/pool"}],
                   "Metadata": {"Store": "sqlite", "Path": f"{WORK}/meta/openebs.db"}, "ReplacementDelay": f"{REPLACEMENT_DELAY}s", "DefaultAccess": "all"}
        with open(f"{WORK}/{self.name}.json", "w") as f: json.dump({"OpenEbs": options}, f)

    def start(self):
        with self.lock:
            out = open(f"{LOGS}/{self.name}.log", "a")
            print(f"==== start {self.starts} at {time.strftime('%H:%M:%S')}", file=out, flush=True)
            self.process = subprocess.Popen(["nsenter", f"--net=/run/netns/{self.ns}", "dotnet", f"{WORK}/program/openebs.dll", "server", "--config", f"{WORK}/{self.name}.json", "--log-level", os.environ.get("CHAOS_LOG_LEVEL", "warning")],
                                            stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=dict(os.environ, DOTNET_EnableWriteXorExecute="0", DOTNET_TieredPGO="0", DOTNET_EnableDiagnostics="0"), start_new_session=True)
            self.starts, self.died, self.paused = self.starts + 1, None, False

    def signal(self, number):
        with self.lock:
            if self.process and self.process.poll() is None: self.process.send_signal(number)

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.ip}:8080/readyz", timeout=1).status == 200
        except OSError:
            return False

    def wait_ready(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.is_ready(): return True
            time.sleep(0.2)
        return False


class Supervisor(threading.Thread):
    """Starts nodes again a second after they end, as systemd does, unless a fault holds them down."""

    def __init__(self, nodes):
        super().__init__(daemon=True)
        self.nodes, self.exits, self.stopping = nodes, collections.Counter(), False

    def run(self):
        while not self.stopping:
            for node in self.nodes:
                with node.lock:
                    if node.process is None or self.stopping: continue
                    code = node.process.poll()
                    if code is None: continue
                    if node.died is None:
                        node.died = time.monotonic()
                        self.exits[code] += 1
                        log(f"{node.name} ended with {code}{' (declared dead)' if code == 86 else ''}")
                    if not node.held and time.monotonic() - node.died > 1: node.start()
            time.sleep(0.1)


class Rest:
    def __init__(self, nodes): self.nodes = nodes

    def call(self, path, method="GET", body=None, timeout=8):
        last = None
        for node in random.Random(time.monotonic()).sample(self.nodes, len(self.nodes)):
            request = urllib.request.Request(f"http://{node.ip}:8080/api/v1{path}", method=method, data=json.dumps(body).encode() if body is not None else None,
                                             headers={"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=timeout) as answer:
                    text = answer.read()
                    return json.loads(text) if text else None
            except urllib.error.HTTPError as e:
                last = RuntimeError(f"{method} {path} at {node.name}: {e.code} {e.read()[:300]}")
            except (OSError, ValueError) as e:
                last = e
        raise last

    def unhealthy(self):
        try:
            volumes = self.call("/volumes")
        except Exception as e:  # noqa: BLE001 - nobody answers: that is not healthy
            return f"REST: {e}"
        return "; ".join(f"{v['name']} {v['state']} {v['reason']} {[(r['node'] or r['pool'], r['state'], r['reason']) for r in v['replicas'] if r['state'] != 'InSync']}"
                         for v in volumes if v["state"] != "Healthy" or any(r["state"] != "InSync" for r in v["replicas"]))


class Load:
    """fio with verification on one volume, through portals."""

    def __init__(self, number, volume, portals, sessions, seconds, seed):
        self.volume, self.socket = volume, f"{WORK}/{volume}.sock"
        self.bridge = subprocess.Popen([f"{WORK}/portals", self.socket, f"iqn.2016-09.com.openebs.orleans:{volume}", str(sessions), *portals],
                                       stdout=open(f"{LOGS}/{volume}.portals", "w"), stderr=open(f"{LOGS}/{volume}.portals.err", "w"))
        end = time.monotonic() + 60
        while not os.path.exists(self.socket) and time.monotonic() < end: time.sleep(0.1)
        shape = [["--rw=randwrite", "--bsrange=512-64k", "--iodepth=16", "--fsync=200"], ["--rw=randwrite", "--bs=4k", "--iodepth=8", "--fsync=32"], ["--rw=write", "--bs=128k", "--iodepth=4", "--fsync=64"]][number % 3]
        rate = ["--rate=2m,2m", "--rate=1m,1m", "--rate=3m,3m"][number % 3]
        self.fio = subprocess.Popen(["fio", "--ioengine=nbd", f"--uri=nbd+unix:///?socket={self.socket}", f"--name={volume}", "--size=192m", *shape, rate, f"--randseed={seed + number}", "--verify=crc32c",
                                     "--verify_fatal=1", "--verify_state_save=0", "--verify_backlog=512", "--do_verify=1", "--time_based", f"--runtime={seconds}", "--loops=100000",
                                     "--output-format=json", f"--output={LOGS}/{volume}.fio.json"], stdout=open(f"{LOGS}/{volume}.fio.log", "w"), stderr=subprocess.STDOUT)

    def results(self):
        def last_json(path, whole):
            try:
                text = open(path).read()
                return json.loads(text[text.index("{"):] if whole else text.strip().splitlines()[-1])
            except (ValueError, IndexError, OSError):
                return None
        return last_json(f"{LOGS}/{self.volume}.fio.json", True), last_json(f"{LOGS}/{self.volume}.portals", False)


class FaultDisk:
    """pool-5's disk: ext4 without a journal (which would turn the file system read-only at the first error) on a loop device on faultdisk."""

    def __init__(self, node):
        self.node, self.point, self.control = node, f"{WORK}/disk-5", f"{WORK}/disk-5.control"
        os.makedirs(self.point)
        self.process = subprocess.Popen([f"{WORK}/faultdisk", self.point, f"{WORK}/disk-5.img", str(3 << 30), self.control])
        while not os.path.exists(f"{self.point}/disk"): time.sleep(0.05)
        self.loop = run("losetup", "--find", "--show", f"{self.point}/disk").strip()
        self.format()
        self.mount()

    def format(self): run("mkfs.ext4", "-q", "-F", "-O", "^has_journal", self.loop)

    def mount(self): run("mount", "-o", "errors=continue", self.loop, self.node.pool)

    def set(self, writes=0, reads=0, pause=0):
        with open(self.control, "r+b") as f: f.write(bytes([writes, reads, pause // 2]))

    def service(self, empty):
        """What an operator does: stop the node, check or replace the disk, start the node."""
        self.node.held = True
        self.node.signal(signal.SIGKILL)
        self.node.process.wait()
        run("umount", self.node.pool)
        if empty: self.format()
        else: run("e2fsck", "-fy", self.loop, check=False)
        self.mount()
        self.node.held = False


class Chaos:
    def __init__(self, args):
        self.random, self.nodes, self.injected, self.recoveries, self.args = random.Random(args.seed), [Node(i) for i in range(1, NODES + 1)], collections.Counter(), [], args
        self.supervisor, self.rest = Supervisor(self.nodes), Rest(self.nodes)

    def prepare(self):
        run("mount", "--make-rprivate", "/")
        os.makedirs("/run/netns", exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "hub", "type", "bridge")
        run("ip", "addr", "add", f"{HUB}/24", "dev", "hub")
        run("ip", "link", "set", "hub", "up")
        os.makedirs(f"{WORK}/meta")
        for node in self.nodes: node.configure()
        small = f"{WORK}/small.img"
        with open(small, "wb") as f: f.truncate(1536 * MIB)
        run("mkfs.ext4", "-q", "-F", "-m", "0", small)
        run("mount", "-o", "loop", small, self.nodes[3].pool)
        self.disk = FaultDisk(self.nodes[4])

    def begin(self):
        for node in self.nodes: node.start()
        self.supervisor.start()
        for node in self.nodes:
            if not node.wait_ready(120): raise RuntimeError(f"{node.name} does not get ready: see {LOGS}/{node.name}.log")
        self.volumes = [f"v{i + 1}" for i in range(self.args.volumes)]
        for name in self.volumes:
            self.rest.call("/volumes", "POST", {"name": name, "sizeBytes": 256 * MIB, "ioTimeoutSeconds": IO_TIMEOUT}, timeout=60)
        if not self.until_healthy(120): raise RuntimeError("the volumes do not get healthy: " + self.rest.unhealthy())
        portals = [f"{node.ip}:3260" for node in self.nodes]
        self.loads = [Load(i, name, portals, self.args.sessions, int(self.args.minutes * 60), self.args.seed) for i, name in enumerate(self.volumes)]
        self.ends = time.monotonic() + self.args.minutes * 60

    def until_healthy(self, seconds):
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if not self.rest.unhealthy(): return max(time.monotonic() - began, 0.001)
            if self.broken(): return None
            time.sleep(0.5)
        return None

    def broken(self):
        loads = getattr(self, "loads", [])
        return time.monotonic() < getattr(self, "ends", 0) - 2 and any(load.fio.poll() is not None for load in loads)

    # ---- faults; each returns when it is over ----

    def inject(self, kind, rng):
        self.injected[kind] += 1
        getattr(self, "do_" + kind.replace("-", "_"))(rng)

    def kill(self, nodes, seconds):
        for node in nodes: node.held = True
        for node in nodes: node.signal(signal.SIGKILL)
        log(f"SIGKILL {', '.join(n.name for n in nodes)} for {seconds:.1f} s")
        time.sleep(seconds)
        for node in nodes: node.held = False

    def do_kill(self, rng): self.kill([rng.choice(self.nodes)], rng.choice([0, rng.uniform(0, 8)]))

    def do_kill_long(self, rng): self.kill([rng.choice(self.nodes)], REPLACEMENT_DELAY + rng.uniform(5, 40))

    def do_kill_two(self, rng): self.kill(rng.sample(self.nodes, 2), rng.uniform(0, 6))

    def do_kill_all(self, rng): self.kill(self.nodes, rng.uniform(0, 4))

    def pause(self, rng, seconds):
        node = rng.choice(self.nodes)
        log(f"SIGSTOP {node.name} for {seconds:.2f} s")
        pid = node.process.pid
        node.signal(signal.SIGSTOP)
        time.sleep(seconds)
        if node.process.pid == pid: node.signal(signal.SIGCONT)

    def do_pause_short(self, rng): self.pause(rng, rng.uniform(0.1, 1.2))

    def do_pause_long(self, rng): self.pause(rng, rng.choice([rng.uniform(1.5, 6), rng.uniform(6, 25)]))

    def cut_off(self, pairs, seconds, what):
        log(f"{what} for {seconds:.1f} s")
        for a, b in pairs: run("ip", "-n", a.ns, "neigh", "replace", b.ip, "lladdr", HOLE, "dev", "eth0", "nud", "permanent")
        time.sleep(seconds)
        for a, b in pairs: run("ip", "-n", a.ns, "neigh", "del", b.ip, "dev", "eth0", check=False)

    def do_cut(self, rng):
        node = rng.choice(self.nodes)
        others = [n for n in self.nodes if n is not node]
        self.cut_off([(node, n) for n in others] + [(n, node) for n in others], rng.choice([rng.uniform(0.3, 3), rng.uniform(3, 25)]), f"{node.name} is cut off from the others")

    def do_cut_one_way(self, rng):
        node = rng.choice(self.nodes)
        self.cut_off([(node, n) for n in self.nodes if n is not node], rng.choice([rng.uniform(0.3, 3), rng.uniform(3, 25)]), f"{node.name} is not heard by the others")

    def do_cut_pair(self, rng):
        a, b = rng.sample(self.nodes, 2)
        self.cut_off([(a, b), (b, a)], rng.uniform(1, 20), f"{a.name} and {b.name} do not hear each other")

    def do_metadata(self, rng):
        seconds = rng.choice([rng.uniform(1, 5), rng.uniform(5, 20)])
        log(f"metadata store locked for {seconds:.1f} s")
        store = sqlite3.connect(f"{WORK}/meta/openebs.db", isolation_level=None, timeout=30)
        store.execute("BEGIN EXCLUSIVE")
        time.sleep(seconds)
        store.execute("ROLLBACK")
        store.close()

    def do_disk_full(self, rng):
        node, seconds = self.nodes[3], rng.uniform(5, 30)
        space = os.statvfs(node.pool)
        take = space.f_bavail * space.f_frsize - rng.choice([180, 256]) * MIB
        log(f"{node.name}: another file takes {max(take, 0) // MIB} MiB of its pool for {seconds:.1f} s")
        if take > 0:
            with open(f"{node.pool}/other", "wb") as f: os.posix_fallocate(f.fileno(), 0, take)
        time.sleep(seconds)
        if take > 0: os.remove(f"{node.pool}/other")

    def break_disk(self, rng, empty):
        seconds = rng.uniform(2, 20)
        log(f"node-5: writes to its disk fail for {seconds:.1f} s, then {'an empty disk' if empty else 'e2fsck'}")
        self.disk.set(writes=1)
        time.sleep(seconds)
        self.disk.set()
        self.disk.service(empty)

    def do_disk_errors(self, rng): self.break_disk(rng, False)

    def do_disk_lost(self, rng): self.break_disk(rng, True)

    def do_disk_slow(self, rng):
        seconds = rng.uniform(5, 25)
        log(f"node-5: its disk is slow for {seconds:.1f} s")
        self.disk.set(pause=40)
        time.sleep(seconds)
        self.disk.set()

    def do_rolling(self, rng):
        log("rolling restart")
        for node in rng.sample(self.nodes, NODES):
            node.held = True
            node.signal(signal.SIGTERM)
            try:
                node.process.wait(30)
            except subprocess.TimeoutExpired:
                log(f"{node.name} did not stop within 30 s of SIGTERM")
                self.slow_stops = getattr(self, "slow_stops", 0) + 1
                node.signal(signal.SIGKILL)
            node.held = False
            if not node.wait_ready(60): log(f"{node.name} is not ready 60 s after a restart")
            self.until_healthy(60)

    # ---- the run ----

    def choose(self, taken=()):
        kinds = [k for k in self.args.kinds if k not in taken]
        return self.random.choices(kinds, [KINDS[k][0] for k in kinds])[0] if kinds else None

    def go(self):
        failed = []
        time.sleep(5)
        while time.monotonic() < self.ends - 60 and not self.broken() and not failed:
            kinds = [self.choose()]
            # What takes a node's disk away for good goes alone: with another replica out of sync the volume would have to wait for a human. So does the rolling restart, which waits by itself.
            alone = {"rolling", "disk-lost", "kill-long", "kill-all"}
            if kinds[0] not in alone and self.random.random() < 0.35: kinds += [k for k in [self.choose((*kinds, *alone))] if k]
            if {"disk-errors", "disk-slow"} <= set(kinds): kinds.pop()
            threads = [threading.Thread(target=self.guarded, args=(kind, random.Random(self.random.random()), self.random.uniform(0, 3) * i, failed), daemon=True) for i, kind in enumerate(kinds)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            if self.random.random() < 0.25 and "disk-lost" not in kinds:
                time.sleep(self.random.uniform(0.5, 5))
                continue
            took = self.until_healthy(HEALTHY_WITHIN)
            if took is None:
                failed.append(f"not healthy {HEALTHY_WITHIN} s after {' and '.join(kinds)}: {self.rest.unhealthy()}")
                break
            self.recoveries.append(took)
            log(f"healthy {took:.1f} s after {' and '.join(kinds)}")
            time.sleep(self.random.uniform(0.5, 4))
        return failed

    def guarded(self, kind, rng, delay, failed):
        try:
            time.sleep(delay)
            self.inject(kind, rng)
        except Exception as e:  # noqa: BLE001 - told, and the run fails
            failed.append(f"{kind} could not be injected: {e!r}")

    def finish(self, failed):
        checks = [(not failed, "faults", "; ".join(failed) or f"{sum(self.injected.values())} injected")]
        took = self.until_healthy(HEALTHY_WITHIN)
        checks.append((took is not None, "healthy-after-the-last-fault", f"{took:.1f} s" if took else self.rest.unhealthy()))
        verified = longest = errors = 0
        for load in self.loads:
            try:
                code = load.fio.wait(max(1, self.ends - time.monotonic()) + IO_TIMEOUT + 60)
            except subprocess.TimeoutExpired:
                code = "still running"
            load.bridge.send_signal(signal.SIGTERM)
            try:
                load.bridge.wait(10)
            except subprocess.TimeoutExpired:
                load.bridge.kill()
            fio, bridge = load.results()
            jobs = fio["jobs"][0] if fio else None
            if jobs: verified += jobs["read"]["total_ios"]
            if bridge: longest, errors = max(longest, bridge["longest_ms"]), errors + bridge["errors"]
            good = code == 0 and jobs and jobs["error"] == 0 and bridge and bridge["errors"] == 0
            said = " ".join(l.strip() for l in open(f"{LOGS}/{load.volume}.fio.log") if re.search("verify|error|err=|bad", l))[:300]
            checks.append((good, f"fio-{load.volume}", f"exit {code}; {jobs['read']['total_ios'] if jobs else '?'} reads verified, {jobs['write']['total_ios'] if jobs else '?'} writes; {bridge}; {said}"))
        if took is not None: checks += self.compare()
        lost = self.events("DataLost")
        checks.append((not lost, "no-loss-declared", str(lost[:3]) if lost else ""))
        crashes = [l.strip() for n in self.nodes for l in open(f"{LOGS}/{n.name}.log", errors="replace") if re.search(r"Unhandled exception|^ +at OpenEbs", l)]
        checks.append((not crashes, "no-stack-trace-in-the-logs", "; ".join(crashes[:3])))
        odd = {code: count for code, count in self.supervisor.exits.items() if code not in (0, -9, 86)}
        checks.append((not odd, "no-odd-exit", f"{dict(self.supervisor.exits)}"))
        checks.append((not getattr(self, "slow_stops", 0), "stops-within-30-s", ""))
        print(f"seed {self.args.seed}, {self.args.minutes} minutes, {len(self.volumes)} volumes with 3 replicas on {NODES} nodes, {self.args.sessions} sessions each")
        print("faults injected: " + ", ".join(f"{kind} {self.injected[kind]}" for kind in KINDS if self.injected[kind]) + f"; {sum(self.injected.values())} in all")
        r = sorted(self.recoveries)
        print(f"verified reads {verified}; errors seen by the client {errors}; longest stall {longest} ms; " + (f"healthy again after {r[len(r) // 2]:.1f} s (median), {r[-1]:.1f} s (longest)" if r else ""))
        print(f"processes ended: {dict(self.supervisor.exits)}")
        for good, name, detail in checks: print(f"{'PASS' if good else 'FAIL'} chaos.{name} {detail}".rstrip())
        return all(good for good, _, _ in checks)

    def events(self, kind):
        found = []
        for name in self.volumes:
            try:
                found += [e for e in self.rest.call(f"/events?volume={name}&limit=500") if e["kind"] == kind]
            except Exception as e:  # noqa: BLE001
                found.append(f"events of {name} cannot be read: {e}")
        return found

    def compare(self):
        """All replicas are read from their media and compared."""
        for node in self.nodes:
            for directory, _, files in os.walk(node.pool):
                for name in files:
                    try:
                        with open(os.path.join(directory, name), "rb") as f: os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                    except OSError: pass
        began = time.time()
        for name in self.volumes: self.rest.call(f"/volumes/{name}/scrub", "POST", timeout=30)
        end = time.monotonic() + 300
        left = list(self.volumes)
        while left and time.monotonic() < end:
            time.sleep(1)
            left = [v["name"] for v in self.rest.call("/volumes") if v["isScrubbing"] or v["lastScrubAt"] is None]
        differ, bad = self.events("ReplicasDiffer"), self.events("BadBlocks")
        log(f"scrubbed in {time.time() - began:.1f} s; bad blocks found and repaired: {[e['cause'] for e in bad]}")
        allowed = self.injected["disk-errors"] + self.injected["disk-lost"]
        return [(not left, "scrubbed", f"not {left}" if left else ""), (not differ, "replicas-are-equal", str(differ[:3]) if differ else ""),
                (not bad or allowed, "no-bad-block-without-a-bad-disk", str(bad[:3]) if bad else "")]

    def stop(self):
        self.supervisor.stopping = True
        for node in self.nodes: node.held = True
        for node in self.nodes:
            if node.process and node.process.poll() is None: node.process.terminate()
        for node in self.nodes:
            try:
                if node.process: node.process.wait(20)
            except subprocess.TimeoutExpired:
                node.process.kill()


def main():
    parser = argparse.ArgumentParser(prog="chaos.sh", epilog="; ".join(f"{k}: {v[1]}" for k, v in KINDS.items()))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100000)
    parser.add_argument("--only", default=",".join(KINDS))
    parser.add_argument("--without", default="")
    parser.add_argument("--volumes", type=int, default=3)
    parser.add_argument("--sessions", type=int, default=2)
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    args.kinds = [k for k in args.only.split(",") if k not in args.without.split(",")]
    unknown = [k for k in args.kinds if k not in KINDS]
    if unknown: parser.error(f"there is no fault {', '.join(unknown)}; there are {', '.join(KINDS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    chaos = Chaos(args)
    try:
        chaos.prepare()
        chaos.begin()
        log(f"seed {args.seed}: load on {', '.join(chaos.volumes)}")
        good = chaos.finish(chaos.go())
    finally:
        chaos.stop()
    sys.exit(0 if good else 1)


main()
