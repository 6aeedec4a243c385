package selftest

import (
	"fmt"
	"slices"
	"strings"
)

// seeded is one run with a defect, and what has to be found. At most one of placement and defect is set.
type seeded struct {
	name      string // as README.md has it
	placement string // in hack/placements: a defect of the target
	defect    string // of -seed-defect: one of the clients or of the harness
	caseID    string // the one case to do, or "" with args that say which
	args      []string
	want      want
}

// want is the finding that has to come first: it decides what a verdict comes to.
type want struct {
	outcome string // pass, slower, fail or indeterminate
	judge   string
	blame   string // product, harness or infrastructure
	says    string // the message in a word or two
	message string // regular expression: the message with its evidence
	writes  bool   // the ids of the rows are evidence, too, and who wrote them through which server
	printed string // regular expression: what is said before the first case
	page    string // regular expression: what report.html says
}

// A primary fails in these, and the table must stay available.
const (
	crashed  = "ha:crash:machine:m1+m3"
	hung     = "ha:hang:machine:m1+m3"
	isolated = "ha:isolate:machine:m1+m3"
	orphaned = "ha:supervisor-kill:instance:s1-m1+s2-m2+s2-m3+s3-m4"
	frozen   = "ha:server-hang:instance:s1-m1+s2-m2+s2-m3+s3-m4"
)

// blackout takes away all of shard 1, which is to come back with everything it acknowledged.
const blackout = "ha:crash:machine:m1+m2"

// lost is what every loss of acknowledged writes has to be found as, whatever lost them.
var lost = want{
	outcome: "fail", judge: "durability", blame: "product", says: "lost writes", message: `^shard \d lost \d+ acknowledged writes`, writes: true,
}

// targets are healthy, or have a defect of their own.
var targets = []seeded{
	{
		name: "none", args: []string{"-levels=machine", "-kinds=crash,hang,isolate", "-budget-cases=3"},
		want: want{outcome: "pass", says: "green"},
	},
	{
		name: "none, on disks that lose what was not synced", placement: "volatile", caseID: blackout,
		want: want{outcome: "pass", says: "green"},
	},
	{name: "asynchronous replication, primary isolated", placement: "async", caseID: isolated, want: lost},
	{
		name: "asynchronous replication, SIGSTOP of PostgreSQL", placement: "asyncetcd3", caseID: frozen,
		args: []string{"-budget-redundancy=20s"}, want: lost,
	},
	{
		name: "Patroni 3.0.2 takes its lock back in etcd v3 after a freeze, in synchronous mode", placement: "etcd3", caseID: frozen,
		args: []string{"-budget-redundancy=20s"}, want: lost,
	},
	{name: "commits acknowledged before they are flushed, crash", placement: "lazy", caseID: blackout, want: lost},
	{name: "a power cut with fsync=off", placement: "nofsync", caseID: blackout, args: []string{"-budget-redundancy=20s"}, want: lost},
	{
		name: "a deposed primary that goes on writing", placement: "late", caseID: isolated,
		want: want{
			outcome: "fail", judge: "split brain", blame: "product", says: "both names, and when",
			message: `^shard 1 had two writable primaries for .*: s1-m1 .* and s1-m2`,
		},
	},
	{
		name: "Patroni killed, PostgreSQL left running, a new primary elected", placement: "async", caseID: orphaned,
		want: want{
			outcome: "fail", judge: "split brain", blame: "product", says: "both names, and when",
			message: `^shard 1 had two writable primaries for .*: s1-m1 .* and s1-m2`,
		},
	},
	{
		name: "failover disabled", placement: "paused", caseID: crashed, args: []string{"-budget-redundancy=20s"},
		want: want{
			outcome: "fail", judge: "availability", blame: "product", says: "never served again",
			message: `^shard 1 must stay available, and never served a (write|read) again until the heal`,
		},
	},
	{
		name: "failover too slow", placement: "slow", caseID: hung,
		want: want{
			outcome: "fail", judge: "availability", blame: "product", says: "beyond the budget",
			message: `^shard 1 must stay available, and .* budget 15\.0 s`,
		},
	},
	{
		name: "a member that never rejoins", placement: "norejoin", caseID: isolated, args: []string{"-budget-redundancy=20s"},
		want: want{
			outcome: "fail", judge: "course", blame: "product", says: "redundancy",
			message: `full redundancy after the heal; last seen: shard 1: .*1 of`,
		},
	},
	{
		name: "two copies of a shard on one machine", placement: "colocated", caseID: "ha:crash:machine:m1",
		want: want{
			outcome: "pass", says: "the plan, which names the single point of failure", // it was planned to become unavailable, and did
			printed: `SINGLE POINT OF FAILURE: machine m1 alone takes away shards \[1\] of table t`,
			page:    `Single point of failure: <strong>m1`,
		},
	},
}

// harness are defects of the clients and of this program.
var harness = []seeded{
	{name: "a client that acknowledges before commit", defect: "ack-before-commit", caseID: isolated, want: lost},
	{
		name: "a proxy that replays writes", defect: "replay-write", caseID: crashed,
		want: want{
			outcome: "fail", judge: lost.judge, blame: "product", says: "applied twice",
			message: `^shard \d applied \d+ writes more than once`, writes: true,
		},
	},
	{
		name: "an injector that does nothing", defect: "inject-nothing", caseID: crashed,
		want: want{
			outcome: "indeterminate", judge: "proof", blame: "harness", says: "did not bite",
			message: `^crash on m1 did not bite \(m1 is running: `,
		},
	},
	{
		name: "a heal that does nothing", defect: "heal-nothing", caseID: hung, args: []string{"-budget-redundancy=15s"},
		want: want{
			outcome: "indeterminate", judge: "proof", blame: "harness", says: "still in force",
			message: `^hang on m1 is still in force after the heal \(m1 is hung: `,
		},
	},
	{
		name: "a network that answers late while the fault lasts", defect: "slow-answers", caseID: crashed,
		args: []string{"-hold=20s"}, // a failover takes its time, and enough slow writes have to follow
		want: want{
			outcome: "slower", judge: "latency", blame: "product", says: "slower",
			message: `^shard \d was available but slower: nine of ten writes took up to \d+ ms while the fault was active`,
		},
	},
	{
		name: "a probe that hangs", defect: "probe-hangs", caseID: hung,
		want: want{
			outcome: "indeterminate", judge: "proof", blame: "harness", says: "abandoned",
			message: `^hang on m1 did not bite .* timed out .* abandoned`,
		},
	},
	{
		name: "the clock jumps: the harness stands still for 20 s", defect: "clock-jumps", caseID: hung,
		want: want{
			outcome: "indeterminate", judge: "availability", blame: "harness", says: "the clock",
			message: `but the harness('s clock jumped| itself stood still)`,
		},
	},
}

// flags are what the run gives to the suite.
func (s seeded) flags() []string {
	flags := slices.Clone(s.args)
	if s.caseID != "" {
		flags = append(flags, "-case="+s.caseID)
	}
	if s.placement != "" {
		flags = append(flags, "-placement="+s.file())
	}
	if s.defect != "" {
		flags = append(flags, "-seed-defect="+s.defect)
	}
	return flags
}

func (s seeded) file() string { return "hack/placements/" + s.placement + ".yaml" }

// with is the same for a user, after `make run SUITE=./suites/ha`.
func (s seeded) with() string {
	var with []string
	args := slices.Clone(s.args)
	if s.placement != "" {
		with = append(with, "PLACEMENT="+s.file())
	}
	if s.caseID != "" {
		with = append(with, "CASE="+s.caseID)
	}
	if s.defect != "" {
		args = append(args, "-seed-defect="+s.defect)
	}
	switch len(args) {
	case 0:
	case 1:
		with = append(with, "ARGS="+args[0])
	default:
		with = append(with, fmt.Sprintf("ARGS=%q", strings.Join(args, " ")))
	}
	return strings.Join(with, " ")
}

// enough tells whether a run does what it has to often enough: a defect hides in one run of ten, a false alarm in none.
func (s seeded) enough(right, runs int) bool {
	if s.healthy() {
		return right == runs
	}
	return right*10 >= runs*9
}

func (s seeded) healthy() bool { return s.want.outcome == "pass" && s.want.printed == "" }
