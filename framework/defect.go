package framework

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/target"
)

// defect is a defect of the harness or of its clients that a run can be given on purpose, to see that its verdicts notice. It
// wraps the real cluster or the real target; nothing else knows of it. Defects of the database are placements, in
// hack/placements, and suites/selftest holds verdicts to both.
type defect struct {
	what    string // is wrong
	cluster func(provider.Cluster) provider.Cluster
	target  func(target.Target) target.Target
}

var defects = map[string]defect{
	"inject-nothing": {
		what:    "injections succeed and do nothing",
		cluster: onNodes(func() meddler { return meddler{inject: skip} }),
	},
	"heal-nothing": {
		what:    "heals succeed and do nothing",
		cluster: onNodes(func() meddler { return meddler{heal: skip} }),
	},
	"probe-hangs": {
		what:    "after an injection, no look at a node ever returns",
		cluster: onNodes(hangingProbes),
	},
	"clock-jumps": {
		what:    "in the middle of a fault the harness stands still for 20 s, as on a host that is suspended",
		cluster: onNodes(func() meddler { return meddler{inject: standStill} }),
	},
	"ack-before-commit": {
		what:   "clients have their writes acknowledged before the commit is safe anywhere (synchronous_commit=off)",
		target: func(t target.Target) target.Target { return hasty{t} },
	},
	"replay-write": {
		what:   "a proxy between the clients and the database sends every write twice",
		target: func(t target.Target) target.Target { return proxied{t} },
	},
	"slow-answers": slowAnswers(),
}

func defectNames() string { return strings.Join(slices.Sorted(maps.Keys(defects)), ", ") }

// seedDefect gives the run the defect that was asked for.
func (r *run) seedDefect() {
	d := defects[r.config.seedDefect]
	if r.config.seedDefect != "" {
		r.say("SEEDED DEFECT %s: %s", r.config.seedDefect, d.what)
	}
	if d.cluster != nil {
		r.cluster = d.cluster(r.cluster)
	}
	if d.target != nil {
		r.target = d.target(r.target)
	}
}

type action func(context.Context) error

// meddler comes between what is asked of a node and what it does. A nil function lets everything pass.
type meddler struct {
	inject, heal func(context.Context, action) error
	look         func()
}

func skip(context.Context, action) error { return nil }

// hangingProbes lets no look return after the first injection. The transport ignores its context: the executor has to do without it.
func hangingProbes() meddler {
	var injected atomic.Bool
	return meddler{
		inject: func(ctx context.Context, do action) error { injected.Store(true); return do(ctx) },
		look: func() {
			if injected.Load() {
				select {}
			}
		},
	}
}

// standStill stops this process with all of its clients a while after the injection. Machines and servers go on.
func standStill(ctx context.Context, do action) error {
	const after, until = 3 * time.Second, 23 * time.Second
	script := fmt.Sprintf("sleep %.0f; kill -STOP $PPID; sleep %.0f; kill -CONT $PPID", after.Seconds(), (until - after).Seconds())
	stop := exec.CommandContext(context.WithoutCancel(ctx), "sh", "-c", script)
	if err := stop.Start(); err != nil {
		return err
	}
	go func() { _ = stop.Wait() }() // reaps it
	return do(ctx)
}

// slowAnswers has every answer to a client come late while a fault is in force.
func slowAnswers() defect {
	var slow atomic.Bool
	set := func(to bool) func(context.Context, action) error {
		return func(ctx context.Context, do action) error { slow.Store(to); return do(ctx) }
	}
	return defect{
		what:    "from an injection to its heal, every answer to a client comes " + late.String() + " late",
		cluster: onNodes(func() meddler { return meddler{inject: set(true), heal: set(false)} }),
		target:  func(t target.Target) target.Target { return sluggish{t, &slow} },
	}
}

func (m meddler) injects(ctx context.Context, do action) error {
	if m.inject == nil {
		return do(ctx)
	}
	return m.inject(ctx, do)
}

func (m meddler) heals(ctx context.Context, do action) error {
	if m.heal == nil {
		return do(ctx)
	}
	return m.heal(ctx, do)
}

func (m meddler) looks() {
	if m.look != nil {
		m.look()
	}
}

// onNodes wraps every node of a cluster. Kinds of fault that only some machines can do (drain, kubelet-stop, pod-delete)
// are not to be had of a wrapped one, and say so.
func onNodes(meddle func() meddler) func(provider.Cluster) provider.Cluster {
	return func(c provider.Cluster) provider.Cluster { return meddledCluster{c, meddle()} }
}

type meddledCluster struct {
	provider.Cluster
	meddler meddler
}

func (c meddledCluster) Machine(name string) (provider.Machine, error) {
	m, err := c.Cluster.Machine(name)
	if err != nil {
		return nil, err
	}
	return meddledMachine{meddledNode{m, c.meddler}, m}, nil
}

func (c meddledCluster) Instance(name string) (provider.Instance, error) {
	i, err := c.Cluster.Instance(name)
	if err != nil {
		return nil, err
	}
	return meddledInstance{meddledNode{i, c.meddler}, i}, nil
}

type meddledNode struct {
	provider.Node
	meddler meddler
}

func (n meddledNode) Crash(ctx context.Context) error { return n.meddler.injects(ctx, n.Node.Crash) }

func (n meddledNode) Hang(ctx context.Context) error { return n.meddler.injects(ctx, n.Node.Hang) }

func (n meddledNode) Resume(ctx context.Context) error { return n.meddler.heals(ctx, n.Node.Resume) }
func (n meddledNode) Start(ctx context.Context) error  { return n.meddler.heals(ctx, n.Node.Start) }

func (n meddledNode) Observe(ctx context.Context) (provider.Observation, error) {
	n.meddler.looks()
	return n.Node.Observe(ctx)
}

type meddledMachine struct {
	meddledNode
	machine provider.Machine
}

func (m meddledMachine) Addresses() ([]string, error) { return m.machine.Addresses() }

func (m meddledMachine) Isolate(ctx context.Context) error {
	return m.meddler.injects(ctx, m.machine.Isolate)
}

func (m meddledMachine) Rejoin(ctx context.Context) error {
	return m.meddler.heals(ctx, m.machine.Rejoin)
}

func (m meddledMachine) Isolated(ctx context.Context) (isolated bool, seen string, err error) {
	m.meddler.looks()
	return m.machine.Isolated(ctx)
}

type meddledInstance struct {
	meddledNode
	instance provider.Instance
}

func (i meddledInstance) Server() provider.Node { return meddledNode{i.instance.Server(), i.meddler} }

// hasty is a target whose clients do not wait for their commits.
type hasty struct{ target.Target }

func (t hasty) Connect(ctx context.Context, shard, client int, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	conn, err := t.Target.Connect(ctx, shard, client, notice)
	if err != nil {
		return nil, err
	}
	_, err = conn.Exec(ctx, "SET synchronous_commit = off")
	return conn, err
}

// late is more than a verdict lets pass, and less than a client waits.
const late = 300 * time.Millisecond

// sluggish is a target whose answers to clients come late.
type sluggish struct {
	target.Target
	slow *atomic.Bool
}

func (t sluggish) Connect(ctx context.Context, shard, client int, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	var connected atomic.Bool
	conn, err := through(ctx, t.Target, shard, client, notice, func(conn net.Conn) net.Conn {
		return &lateConn{Conn: conn, late: func() bool { return connected.Load() && t.slow.Load() }}
	})
	connected.Store(true) // a connection takes many answers
	return conn, err
}

// lateConn is a client's end of a connection on which answers come late.
type lateConn struct {
	net.Conn
	late func() bool
}

// Read implements [net.Conn].
func (c *lateConn) Read(answer []byte) (int, error) {
	n, err := c.Conn.Read(answer)
	if c.late() {
		<-time.After(late)
	}
	return n, err
}

// proxied is a target that is reached through a proxy which replays writes.
type proxied struct{ target.Target }

func (t proxied) Connect(ctx context.Context, shard, client int, notice func(*pgconn.Notice)) (*pgx.Conn, error) {
	return through(ctx, t.Target, shard, client, notice, func(conn net.Conn) net.Conn { return &replayer{Conn: conn, inserts: map[string]bool{}} })
}

// through finds out where the target connects to, and connects there again through something else.
func through(ctx context.Context, t target.Target, shard, client int, notice func(*pgconn.Notice), other func(net.Conn) net.Conn) (*pgx.Conn, error) {
	direct, err := t.Connect(ctx, shard, client, notice)
	if err != nil {
		return nil, err
	}
	config := direct.Config()
	if err := direct.Close(ctx); err != nil {
		return nil, err
	}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return other(conn), nil
	}
	return pgx.ConnectConfig(ctx, config)
}

// replayer is a client's end of a connection that has each INSERT executed twice, in PostgreSQL's extended protocol.
type replayer struct {
	net.Conn
	inserts map[string]bool // prepared statements, by name
}

// Write implements [net.Conn]. A client writes whole messages.
func (r *replayer) Write(messages []byte) (int, error) {
	if _, err := r.Conn.Write(r.twice(messages)); err != nil {
		return 0, err
	}
	return len(messages), nil
}

// twice repeats the Bind and the Execute of every INSERT. What is not a row of messages stays as it is.
func (r *replayer) twice(messages []byte) []byte {
	const header = 5 // type, and length from there on
	var out, bind []byte
	for rest := messages; len(rest) > 0; {
		if len(rest) < header {
			return messages
		}
		length := 1 + int64(binary.BigEndian.Uint32(rest[1:]))
		if length < header || length > int64(len(rest)) {
			return messages
		}
		message := rest[:length]
		rest = rest[length:]
		out = append(out, message...)
		first, after, _ := bytes.Cut(message[header:], []byte{0}) // the first of two strings
		second, _, _ := bytes.Cut(after, []byte{0})
		switch message[0] {
		case 'P': // Parse: name, query
			r.inserts[string(first)] = bytes.HasPrefix(second, []byte("INSERT"))
		case 'B': // Bind: portal, name
			bind = nil
			if r.inserts[string(second)] {
				bind = message
			}
		case 'E': // Execute
			if bind != nil {
				out = slices.Concat(out, bind, message)
			}
		}
	}
	return out
}
