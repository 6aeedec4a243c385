package framework

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/onsi/ginkgo/v2"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/alert"
	"github.com/cutset-dev/cutset/executor/resource"
	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/history"
	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/report"
	"github.com/cutset-dev/cutset/framework/target"
	"github.com/cutset-dev/cutset/framework/verdict"
	"github.com/cutset-dev/cutset/framework/workload"
)

// run is one run of one suite in one process.
type run struct {
	id       string
	suite    Suite
	config   config
	dir      string
	process  int // of Ginkgo's parallel processes, from 1
	out      io.Writer
	deadline time.Time
	setupErr error

	log      *slog.Logger
	logFile  *os.File
	record   *history.Recorder
	monitor  *resource.Monitor
	commands *executor.Executor
	ledger   *ledger
	entries  *alert.Report
	cluster  provider.Cluster
	target   target.Target
	clients  *workload.Clients
	plan     plan.Plan
	topology faultcalc.Topology

	court *verdict.Court // has heard the history as far as tail has read it
	tail  *history.Tail

	broken bool // the last case did not leave the database whole

	pulse    workload.Pulse
	progress progress

	mu      sync.Mutex
	leftOut []plan.LeftOut // in the course of the run
	report  *report.Report // once it is written, in the process that has all verdicts
}

// newRun names the run and makes its directory. key is what the processes of a parallel run share.
func newRun(suite Suite, c config, process int, key string) (*run, error) {
	if key == "" {
		key = time.Now().UTC().Format("20060102-150405-") + rand.Text()[:4]
	}
	r := &run{id: suite.Name + "-" + key, suite: suite, config: c, process: process, out: os.Stdout, ledger: &ledger{}, entries: alert.NewReport()}
	root, err := outputRoot(c.output)
	if err != nil {
		return nil, err
	}
	r.dir = filepath.Join(root, r.id)
	if err := os.MkdirAll(r.own("logs", ""), 0o755); err != nil { //nolint:gosec // programs that run as another user write there
		return nil, fmt.Errorf("make the run's directory: %w", err)
	}
	if r.logFile, err = os.OpenFile(filepath.Join(r.own("logs", ""), "harness.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
		return nil, err
	}
	r.log = slog.New(slog.NewMultiHandler(
		slog.NewTextHandler(r.logFile, &slog.HandlerOptions{Level: slog.LevelDebug}),
		slog.NewTextHandler(ginkgo.GinkgoWriter, &slog.HandlerOptions{Level: slog.LevelWarn}),
	))
	return r, nil
}

// moduleRoot is the nearest directory, here or above, with a go.mod: tests run in their package's directory, and users
// call them from the root.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("find the module's root: no go.mod here or above; say where results go with -output, and give full paths")
		}
	}
}

// fromRoot takes a user's relative path from the module's root.
func fromRoot(path string) (string, error) {
	if path == "" || filepath.IsAbs(path) {
		return path, nil
	}
	root, err := moduleRoot()
	return filepath.Join(root, path), err
}

// outputRoot makes the directory where runs leave their results, ignored by git.
func outputRoot(given string) (string, error) {
	root, err := fromRoot(cmp.Or(given, "_output"))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(root, 0o755); err != nil { //nolint:gosec // results are for everybody to read
		return "", fmt.Errorf("make the directory for results: %w", err)
	}
	ignore := filepath.Join(root, ".gitignore")
	if err := os.WriteFile(ignore, []byte("*\n"), 0o644); err != nil { //nolint:gosec // as above
		return "", err
	}
	return root, nil
}

func (r *run) file(name string) string { return filepath.Join(r.dir, name) }

// own is a file of which each parallel process has its own.
func (r *run) own(name, extension string) string {
	if r.process > 1 {
		name = fmt.Sprintf("%s-%d", name, r.process)
	}
	return r.file(name + extension)
}

// setUp brings everything up to the frozen plan.
func (r *run) setUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.backend().setUpLimit)
	defer cancel()
	began := time.Now()
	file, err := fromRoot(r.config.placement)
	if err != nil {
		return err
	}
	where, err := placement.Load(file)
	if err != nil {
		return err
	}
	if _, err := r.earlier(); err != nil { // now, not when everything is done
		return err
	}
	if r.record, err = history.Create(r.own("history", ".jsonl"), r.id); err != nil {
		return err
	}
	if err := r.setUpExecutor(); err != nil {
		return err
	}
	if err := r.backend().provide(ctx, r, where); err != nil {
		return err
	}
	r.seedDefect()
	r.say("run %s: %d machines up (%s)", r.id, len(r.cluster.Machines()), r.cluster.Describe())
	// What the run itself makes has to be deployed before it can be asked; a database that is there only when the run writes to it.
	if !r.config.planOnly || r.config.provider != "existing" {
		if err := r.target.Deploy(ctx); err != nil {
			return fmt.Errorf("deploy the database: %w; its logs are in %s", err, r.own("logs", ""))
		}
	}
	r.say("database up and redundant after %s", seconds(time.Since(began)))
	if r.topology, err = r.target.Discover(ctx, r.target.Entry()); err != nil {
		return err
	}
	if err := writeJSON(r.own("topology", ".json"), r.topology); err != nil {
		return err
	}
	r.clients = workload.New(r.target, workload.Default(), r.record)
	if err := r.freezePlan(ctx); err != nil {
		return err
	}
	return r.saySinglePoints()
}

// saySinglePoints names every node whose failure alone takes the table down. No run is needed to know.
func (r *run) saySinglePoints() error {
	for _, level := range r.levels() {
		model, err := faultcalc.Compile(r.topology, r.plan.Table, level)
		if err != nil {
			return err
		}
		for _, node := range model.Names(model.SinglePointsOfFailure()) {
			set, err := model.SetOf(node)
			if err != nil {
				return err
			}
			r.say("SINGLE POINT OF FAILURE: %s %s alone takes away shards %v of table %s", level, node, model.UnavailableShards(set), r.plan.Table)
		}
	}
	return nil
}

func (r *run) setUpExecutor() error {
	r.ledger.record = r.record
	r.monitor = resource.Start(resource.Options{})
	var err error
	r.commands, err = executor.New(classes(),
		executor.WithMonitor(r.monitor),
		executor.WithSeed(uint64(r.config.seed)),
		executor.WithSinks(executor.NewSlogSink(r.log), r.ledger, r.entries),
		executor.WithObserver(r.ledger.attempt),
	)
	return err
}

// classes are the executor's for a harness, with one change: under load, commands wait longer, and none
// is refused. A run whose injections are shed decides nothing.
func classes() []executor.Class {
	list := executor.DefaultClasses()
	for i := range list {
		list[i].ShedAt = -1
	}
	return list
}

// freezePlan makes the plan and writes it, or, in the second and later of parallel processes, waits for
// the bytes of the first.
func (r *run) freezePlan(ctx context.Context) error {
	file := r.file("plan.json")
	if r.process == 1 {
		p, err := r.makePlan()
		if err != nil {
			return err
		}
		if err := p.Freeze(file); err != nil {
			return err
		}
	}
	err := r.wait(ctx, r.backend().setUpLimit, "the plan of the first process", func(context.Context) error {
		_, err := os.Stat(file)
		return err
	})
	if err != nil {
		return err
	}
	if r.plan, err = plan.Load(file); err != nil {
		return err
	}
	if own := plan.Fingerprint(r.topology); own != r.plan.Fingerprint {
		return fmt.Errorf("this process found topology %s, and the plan is for %s: the processes have different databases", own, r.plan.Fingerprint)
	}
	if at, of := r.config.part(); of > 0 {
		r.plan = r.plan.Part(at, of)
	}
	r.plan = r.plan.Repeated(r.config.repeat)
	return nil
}

// makePlan plans for the topology, or takes the plan that the user gave.
func (r *run) makePlan() (plan.Plan, error) {
	if r.config.planFile != "" {
		file, err := fromRoot(r.config.planFile)
		if err != nil {
			return plan.Plan{}, err
		}
		return plan.Load(file)
	}
	return plan.Make(r.topology, plan.Spec{
		Suite: r.suite.Name, Seed: r.config.seed, Levels: r.levels(), Kinds: list(r.config.kinds), Only: r.config.caseID,
		MaxSize: r.config.maxSize, MaxCases: r.config.budgetCases, MaxTime: r.config.budgetTime,
		EachCase: r.backend().eachCase, Unsupported: r.cluster.Unsupported,
	})
}

func (r *run) levels() []faultcalc.Level {
	var levels []faultcalc.Level
	for _, l := range list(r.config.levels) {
		levels = append(levels, faultcalc.Level(l))
	}
	return levels
}

// tearDown takes everything down. It is safe to call at any stage.
func (r *run) tearDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.backend().tearDownLimit)
	defer cancel()
	began := time.Now()
	var errs []error
	if r.cluster != nil {
		if logs, ok := r.cluster.(provider.LogExporter); ok && r.failed() {
			if err := logs.ExportLogs(ctx, filepath.Join(r.own("logs", ""), "nodes")); err != nil {
				r.log.Warn("not all logs of the nodes could be exported", "error", err)
			}
		}
		errs = append(errs, r.cluster.Close(ctx))
	}
	if r.commands != nil {
		errs = append(errs, r.commands.Drain(ctx))
	}
	if r.monitor != nil {
		r.monitor.Stop()
	}
	if r.record != nil {
		errs = append(errs, r.record.Close())
	}
	if err := errors.Join(errs...); err != nil {
		r.say("tear down: %v", err)
		r.log.Error("tear down", "error", err)
	}
	r.log.Info("torn down", "took", time.Since(began))
	_ = r.logFile.Close()
}

// failed tells whether there is something to look into.
func (r *run) failed() bool {
	return r.setupErr != nil || r.report != nil && slices.ContainsFunc(r.report.Cases, func(c report.Case) bool { return c.Verdict.Outcome.Fails() })
}

// leaveOut notes a planned case that the run did not do after all.
func (r *run) leaveOut(id, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.leftOut = append(r.leftOut, plan.LeftOut{ID: id, Reason: reason})
}

// recordLoad samples the load until the context ends, for verdicts to reckon with.
func (r *run) recordLoad(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		r.record.Add(history.Record{Load: &history.Load{Factor: r.commands.LoadFactor()}})
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// say prints a line for whoever watches.
func (r *run) say(format string, args ...any) {
	_, _ = fmt.Fprintf(r.out, format+"\n", args...)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func writeJSON(file string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(text, '\n'), 0o600)
}
