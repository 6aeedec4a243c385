package selftest

import (
	"fmt"
	"slices"
	"strings"
)

// seeded is one run with a defect, and what has to be found. At most one of placement and defect is set.
type seeded struct {
	name      string
	placement string // in hack/placements: a defect of the target
	defect    string // of -seed-defect: one of the clients or of the harness
	caseID    string // the one case to do, or "" with args that say which
	args      []string
	want      want
}

// want is the finding that has to come first: it decides what a verdict comes to.
type want struct {
	outcome string // pass, fail or indeterminate
	judge   string
	blame   string // product, harness or infrastructure
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

const (
	lost    = `^shard \d lost \d+ acknowledged writes`
	lostFor = "durability" // the judge
)

// targets are healthy, or have a defect of their own.
var targets = []seeded{
	{
		name: "healthy", args: []string{"-levels=machine", "-kinds=crash,hang,isolate", "-budget-cases=3"},
		want: want{outcome: "pass"},
	},
	{
		name: "async replication, isolated", placement: "async", caseID: isolated,
		want: want{outcome: "fail", judge: lostFor, blame: "product", message: lost, writes: true},
	},
	{
		name: "etcd3 lock bug of Patroni 3.0.2, frozen", placement: "etcd3", caseID: frozen, args: []string{"-budget-redundancy=20s"},
		want: want{outcome: "fail", judge: lostFor, blame: "product", message: lost, writes: true},
	},
	{
		name: "acknowledged before flushed, crashed", placement: "lazy", caseID: "ha:crash:machine:m1+m2",
		want: want{outcome: "fail", judge: lostFor, blame: "product", message: lost, writes: true},
	},
	{
		name: "two writable primaries", placement: "late", caseID: isolated,
		want: want{outcome: "fail", judge: "split brain", blame: "product", message: `^shard 1 had two writable primaries for .*: s1-m1 .* and s1-m2`},
	},
	{
		name: "failover disabled", placement: "paused", caseID: crashed, args: []string{"-budget-redundancy=20s"},
		want: want{outcome: "fail", judge: "availability", blame: "product", message: `^shard 1 must stay available, and never served a (write|read) again until the heal`},
	},
	{
		name: "failover too slow", placement: "slow", caseID: hung,
		want: want{outcome: "fail", judge: "availability", blame: "product", message: `^shard 1 must stay available, and .* budget 15\.0 s`},
	},
	{
		name: "a member never rejoins", placement: "norejoin", caseID: isolated, args: []string{"-budget-redundancy=20s"},
		want: want{outcome: "fail", judge: "course", blame: "product", message: `full redundancy after the heal; last seen: shard 1: .*1 of`},
	},
	{
		name: "two copies on one machine", placement: "colocated", caseID: "ha:crash:machine:m1",
		want: want{
			outcome: "pass", // it was planned to become unavailable, and did
			printed: `SINGLE POINT OF FAILURE: machine m1 alone takes away shards \[1\] of table t`,
			page:    `Single point of failure: <strong>m1`,
		},
	},
}

// harness are defects of the clients and of this program.
var harness = []seeded{
	{
		name: "a client acknowledges before commit", defect: "ack-before-commit", caseID: isolated,
		want: want{outcome: "fail", judge: lostFor, blame: "product", message: lost, writes: true},
	},
	{
		name: "a proxy replays writes", defect: "replay-write", caseID: crashed,
		want: want{outcome: "fail", judge: lostFor, blame: "product", message: `^shard \d applied \d+ writes more than once`, writes: true},
	},
	{
		name: "an injector does nothing", defect: "inject-nothing", caseID: crashed,
		want: want{outcome: "indeterminate", judge: "proof", blame: "harness", message: `^crash on m1 did not bite \(m1 is running: `},
	},
	{
		name: "a heal does nothing", defect: "heal-nothing", caseID: hung, args: []string{"-budget-redundancy=15s"},
		want: want{outcome: "indeterminate", judge: "proof", blame: "harness", message: `^hang on m1 is still in force after the heal \(m1 is hung: `},
	},
	{
		name: "a probe hangs", defect: "probe-hangs", caseID: hung,
		want: want{outcome: "indeterminate", judge: "proof", blame: "harness", message: `^hang on m1 did not bite .* timed out .* abandoned`},
	},
	{
		name: "the clock jumps", defect: "clock-jumps", caseID: hung,
		want: want{outcome: "indeterminate", judge: "availability", blame: "harness", message: `but the harness('s clock jumped| itself stood still)`},
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

// command is the same for a user.
func (s seeded) command() string {
	command, args := "make run SUITE=./suites/ha", slices.Clone(s.args)
	if s.caseID != "" {
		command += " CASE=" + s.caseID
	}
	if s.placement != "" {
		command += " PLACEMENT=" + s.file()
	}
	if s.defect != "" {
		args = append(args, "-seed-defect="+s.defect)
	}
	if len(args) > 0 {
		command += fmt.Sprintf(" ARGS=%q", strings.Join(args, " "))
	}
	return command
}

// enough tells whether a run does what it has to often enough: a defect hides in one run of ten, a false alarm in none.
func (s seeded) enough(right, runs int) bool {
	if s.healthy() {
		return right == runs
	}
	return right*10 >= runs*9
}

func (s seeded) healthy() bool { return s.placement == "" && s.defect == "" }
