package framework

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/fault"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
	"github.com/cutset-dev/cutset/framework/workload"
)

// caseRun is one case on its way.
type caseRun struct {
	*run
	plan.Case
	kind    fault.Kind
	faults  map[string]fault.Fault // by node
	traffic *workload.Traffic
	began   time.Time
}

// runCase does the case and judges it. The steps are those of history.PhaseName; whatever stops
// them, what was injected is healed. An error is one of the harness: a problem on the way is in the
// history, and the verdict says what it means. at says where in the run it is.
func (r *run) runCase(ctx context.Context, at string, c plan.Case) (verdict.Verdict, error) {
	k := &caseRun{run: r, Case: c, faults: map[string]fault.Fault{}}
	r.say("[%s] %s", at, c.Sentence)
	r.progress.begins(c)
	ctx = executor.WithScope(ctx, c.ID) // so that alerts find their way to this spec
	if c.Kind != plan.Control {
		var err error
		if k.kind, err = fault.ByName(c.Level, c.Kind); err != nil {
			return verdict.Verdict{}, err
		}
		for _, node := range c.Nodes {
			if k.faults[node], err = k.kind.On(r.cluster, node); err != nil {
				return verdict.Verdict{}, err
			}
		}
	}
	r.restorePrimaries(ctx)
	sampling, stopSampling := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSampling()
	go r.recordLoad(sampling)
	go r.pulse.Beat(sampling, r.record)
	k.begin()
	k.traffic = r.clients.Start(ctx, c.ID)
	stopObserver := workload.Observe(context.WithoutCancel(ctx), r.target, r.commands, r.record, c.ID)
	defer stopObserver()
	if k.steady(ctx) {
		k.breakAndHeal(ctx)
	}
	// The end is recorded in any case: with Ctrl-C, too, the database is left whole and the history complete.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.config.redundancy)
	defer cancel()
	k.primaries(end)
	readable := slices.DeleteFunc(slices.Clone(r.plan.Shards), func(shard int) bool {
		return k.broken && k.serving([]int{shard}, time.Time{}) != nil
	})
	k.traffic.Stop()
	stopObserver()
	k.reached(history.Ended)
	k.events(end)
	for _, shard := range readable {
		if err := r.audit(end, c.ID, shard); err != nil {
			r.log.Error("audit", "case", c.ID, "error", err)
		}
	}
	v, err := r.judge(c.ID)
	if err == nil {
		r.progress.ended(r.reportOf(c, v))
	}
	return v, err
}

// begin opens the case in the history.
func (k *caseRun) begin() {
	planned := &history.Planned{
		Kind: k.Kind, Level: string(k.Level), Nodes: k.Nodes, Shards: k.plan.Shards, Unavailable: k.Unavailable,
		Budget: history.Budget{Outage: k.config.outage, Redundancy: k.config.redundancy, Traffic: minimumTraffic, Slowdown: k.config.slowdown, Quantiles: k.config.quantiles},
		Of:     k.Of, Repeat: k.Repeat,
	}
	if k.Repeat > 0 {
		planned.Repeats = k.config.repeat
	}
	if k.kind.Settles {
		planned.Budget.Settle = k.backend().settle
	}
	k.began = time.Now()
	k.record.Add(history.Record{Case: k.ID, Planned: planned})
	k.reached(history.Started)
}

func (k *caseRun) reached(name history.PhaseName) {
	k.record.Add(history.Record{Case: k.ID, Phase: &history.Phase{Name: name}})
	k.progress.reached(name)
}

// failed records why a step was not reached.
func (k *caseRun) failed(ctx context.Context, name history.PhaseName, blame verdict.Blame, err error) {
	if ctx.Err() != nil {
		blame = verdict.Harness // interrupted
	}
	problem := strings.ReplaceAll(err.Error(), "\n", "; ") // joined errors: a verdict is one line
	var late lateError
	errors.As(err, &late)
	k.record.Add(history.Record{Case: k.ID, Phase: &history.Phase{Name: name, Problem: problem, Blame: string(blame), MissedBy: late.missedBy}})
}

// steady waits until everything is as it should be before a fault: redundant, with traffic, and where
// the plan thinks it is.
func (k *caseRun) steady(ctx context.Context) bool {
	patience := k.config.redundancy
	if k.broken {
		patience = 5 * time.Second // it had its time after the case that broke it
	}
	err := k.wait(ctx, patience, "full redundancy before the fault", k.target.Redundant)
	if err == nil {
		err = k.wait(ctx, k.config.redundancy, "enough traffic before the fault", func(context.Context) error {
			for _, shard := range k.run.plan.Shards {
				for _, kind := range []history.OpKind{history.OpWrite, history.OpRead} {
					if count, _ := k.traffic.Served(shard, kind); count < 2*minimumTraffic {
						return fmt.Errorf("shard %d served %d %ss of %d", shard, count, kind, 2*minimumTraffic)
					}
				}
			}
			return nil
		})
	}
	if err == nil {
		// Who just came back may still change places with another, and for a moment say nothing of either.
		err = k.wait(ctx, 10*time.Second, "the topology of the plan", k.unmoved)
	}
	if err != nil {
		k.failed(ctx, history.Steady, verdict.Infrastructure, err)
		return false
	}
	k.primaries(ctx)
	k.reached(history.Steady)
	return true
}

// unmoved checks that the topology is still the one of the plan.
func (k *caseRun) unmoved(ctx context.Context) error {
	topology, err := k.target.Discover(ctx, k.target.Entry())
	if err != nil {
		return err
	}
	if now := plan.Fingerprint(topology); now != k.run.plan.Fingerprint {
		return fmt.Errorf("the topology moved: its fingerprint is %s, and the plan was made for %s", now, k.run.plan.Fingerprint)
	}
	return nil
}

// primaries records who is primary. Not to know is no problem of the case.
func (k *caseRun) primaries(ctx context.Context) {
	primaries, err := k.target.Primaries(ctx)
	if err != nil {
		k.log.Warn("primaries", "case", k.ID, "error", err)
	}
	k.record.Add(history.Record{Case: k.ID, Roles: &history.Roles{Primaries: primaries}})
}

// events records what the servers' own logs tell of changes of primaries in the case. Not to know is no problem of the case.
func (k *caseRun) events(ctx context.Context) {
	events, err := k.target.Events(ctx, k.began)
	if err != nil {
		k.log.Warn("not all logs tell of changes of primaries; phases of failovers may be missing", "case", k.ID, "error", err)
	}
	for _, e := range events {
		k.record.Add(history.Record{At: k.record.Since(e.At), Case: k.ID, Event: &e.Event})
	}
}

// breakAndHeal injects, holds and heals.
func (k *caseRun) breakAndHeal(ctx context.Context) {
	if !k.look(ctx, "before", false) {
		return
	}
	k.reached(history.Inject)
	err := k.each(ctx, "fault", "inject "+k.Kind, func(ctx context.Context, f fault.Fault) error { return f.Inject(ctx) })
	switch {
	case err != nil:
		k.failed(ctx, history.Bit, verdict.Harness, err)
	case k.look(ctx, "bit", true):
		k.reached(history.Bit)
		k.hold(ctx)
		if ctx.Err() != nil {
			k.failed(ctx, history.Heal, verdict.Harness, fmt.Errorf("interrupted: %w", context.Cause(ctx)))
			break
		}
		k.look(ctx, "lasted", true)
	}
	k.heal(context.WithoutCancel(ctx))
}

// look records for every node whether its fault is active, and tells whether all are as wanted. Proofs go
// through the executor like everything else.
func (k *caseRun) look(ctx context.Context, when string, want bool) bool {
	all := true
	for _, node := range k.Nodes {
		type proof struct {
			active bool
			seen   string
		}
		p, err := executor.Do(ctx, k.commands, executor.Command[proof]{
			Name: "prove " + k.Kind, Class: "probe", Target: node, Idempotent: true,
			Run: func(ctx context.Context, _ executor.Attempt) (proof, error) {
				active, seen, err := k.faults[node].Active(ctx)
				return proof{active, seen}, err
			},
		})
		if err != nil {
			p = proof{!want, err.Error()}
		}
		k.record.Add(history.Record{Case: k.ID, Fault: &history.Fault{Node: node, When: when, Active: p.active, Seen: p.seen}})
		all = all && p.active == want
	}
	return all
}

// each does something to every fault of the set at once.
func (k *caseRun) each(ctx context.Context, class, what string, do func(context.Context, fault.Fault) error) error {
	var group errgroup.Group
	for node, f := range k.faults {
		group.Go(func() error {
			_, err := executor.Do(ctx, k.commands, executor.Command[struct{}]{
				Name: what, Class: class, Target: node, Idempotent: true,
				Run: func(ctx context.Context, _ executor.Attempt) (struct{}, error) { return struct{}{}, do(ctx, f) },
			})
			return err
		})
	}
	return group.Wait()
}

// hold keeps the fault in force for its time, and then for as long as it takes to see what was predicted: until every
// shard that must be available serves and every other one is silent, or has used up its budget.
func (k *caseRun) hold(ctx context.Context) {
	began := time.Now()
	available := slices.DeleteFunc(slices.Clone(k.run.plan.Shards), func(shard int) bool { return slices.Contains(k.Unavailable, shard) })
	outage := k.config.outage
	if k.kind.Settles { // then it may begin so much later
		outage += k.backend().settle
	}
	_ = k.wait(ctx, max(k.config.hold, outage, k.backend().settle)+2*time.Second, "what was predicted", func(context.Context) error {
		if held := time.Since(began); held < k.config.hold {
			return fmt.Errorf("held for %s", seconds(held))
		}
		return errors.Join(k.serving(available, began), k.silent(k.Unavailable))
	})
}

// serving returns nil when each of the shards has served both kinds of operation of late, and since the moment.
func (k *caseRun) serving(shards []int, since time.Time) error {
	const late = 500 * time.Millisecond
	return k.lastServed(shards, func(last time.Time) bool { return last.After(since) && time.Since(last) < late })
}

// silent returns nil when none of the shards has served anything for longer than a verdict asks for.
func (k *caseRun) silent(shards []int) error {
	return k.lastServed(shards, func(last time.Time) bool { return time.Since(last) > 3*time.Second })
}

// lastServed returns an error for the shards whose last operation does not do.
func (k *caseRun) lastServed(shards []int, does func(time.Time) bool) error {
	var errs []error
	for _, shard := range shards {
		for _, kind := range []history.OpKind{history.OpWrite, history.OpRead} {
			if _, last := k.traffic.Served(shard, kind); !does(last) {
				errs = append(errs, fmt.Errorf("shard %d served its last %s %s ago", shard, kind, seconds(time.Since(last))))
			}
		}
	}
	return errors.Join(errs...)
}

// heal takes the faults back and waits for redundancy and service. It has a limit of its own.
func (k *caseRun) heal(ctx context.Context) {
	k.reached(history.Heal)
	if err := k.each(ctx, "heal", "heal "+k.Kind, func(ctx context.Context, f fault.Fault) error { return f.Heal(ctx) }); err != nil {
		k.failed(ctx, history.Healed, verdict.Harness, err)
	}
	k.look(ctx, "healed", false)
	k.reached(history.Healed)
	healed := time.Now()
	err := k.wait(ctx, k.config.redundancy, "full redundancy after the heal", func(ctx context.Context) error {
		if err := k.target.Redundant(ctx); err != nil {
			return err
		}
		return k.serving(k.run.plan.Shards, healed)
	})
	k.broken = err != nil
	if err != nil {
		k.failed(ctx, history.Redundant, verdict.Product, err)
		return
	}
	k.reached(history.Redundant)
}

// audit reads a shard back, once it can be reached.
func (r *run) audit(ctx context.Context, caseID string, shard int) error {
	_, err := executor.Do(ctx, r.commands, executor.Command[struct{}]{
		Name: "audit", Class: "collect", Target: fmt.Sprintf("shard %d", shard), Idempotent: true,
		Run: func(ctx context.Context, _ executor.Attempt) (struct{}, error) {
			return struct{}{}, r.clients.Audit(ctx, caseID, shard)
		},
	})
	return err
}

// judge reads back what is new in the history and judges the case from nothing else.
func (r *run) judge(caseID string) (verdict.Verdict, error) {
	if err := r.record.Flush(); err != nil {
		return verdict.Verdict{}, err
	}
	if r.court == nil {
		r.court, r.tail = verdict.NewCourt(), &history.Tail{File: r.own("history", ".jsonl")}
	}
	for record, err := range r.tail.New() {
		if err == nil {
			err = r.court.Hear(record)
		}
		if err != nil {
			return verdict.Verdict{}, err
		}
	}
	v, err := r.court.Verdict(caseID)
	if err != nil {
		return verdict.Verdict{}, err
	}
	if slices.ContainsFunc(v.Findings, func(f verdict.Finding) bool { return f.Picture != "" }) {
		if err := r.court.Draw(caseID, r.dir); err != nil {
			r.log.Error("draw", "case", caseID, "error", err)
		}
	}
	r.say("      %s in %s: %s", v.Outcome, seconds(v.Took), v.Summary())
	return v, nil
}
