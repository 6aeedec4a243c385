// Package resource watches how short this machine, or the control group that this process runs in, is of CPU, memory
// and I/O. Reading the result is an atomic load: no decision ever waits for a measurement.
//
// Sources, the narrowest bound wins: limits of cgroup v2 or v1, Pressure Stall Information of the cgroup
// or the host, the host's counters through gopsutil, and, for CPU, how long this process's own goroutines wait for
// a processor (above 10 ms at the 99th percentile of an interval that is scarcity, whatever the counters say). PSI is taken from the differences of its
// totals, since the kernel updates the averages every 2 s only, and they lag by their window.
package resource

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// The intervals of a monitor, and the limits on what it reads.
const (
	DefaultInterval = time.Second
	// fastInterval is used while resources are scarce, to notice the end of it.
	fastInterval = 250 * time.Millisecond
	// readLimit is what one source gets; after that its last value stands, and ages.
	readLimit = 500 * time.Millisecond
	// staleAfter makes a value count as at least staleScarcity: what cannot be measured is not idle.
	staleAfter    = 5 * time.Second
	staleScarcity = .5
)

// The idle shares below which a resource is scarce. Memory is normally well filled.
const (
	KneeCPU    = .5
	KneeMemory = .2
	KneeIO     = .5
)

// Reading is the state of one resource.
type Reading struct {
	// Idle is the share (0..1) that is free.
	Idle float64 `json:"idle"`
	// Source is what bounded it: "cgroup2", "cgroup1", "psi", "host" or "sched".
	Source string `json:"source"`
	// At is when it was measured; zero if it never was.
	At time.Time `json:"at"`
	// Err is why the latest measurement failed, "" if it did not.
	Err string `json:"error,omitempty"`
}

// Snapshot is one sample of all resources.
type Snapshot struct {
	Time   time.Time `json:"time"`
	CPU    Reading   `json:"cpu"`
	Memory Reading   `json:"memory"`
	IO     Reading   `json:"io"`
	// Scarcity is the largest over the resources of (knee-idle)/knee, within 0..1: the bottleneck counts.
	Scarcity float64 `json:"scarcity"`
	// Resource is the bottleneck, "" if there is none.
	Resource string `json:"resource,omitempty"`
	// Normalized is the load-normalized time since Start; see Monitor.Normalized.
	Normalized time.Duration `json:"normalized"`
	// Cost is how long taking this sample took.
	Cost time.Duration `json:"cost"`
}

// Source measures one resource. Read returns the idle share and where it is from; it may hang.
type Source interface {
	Read(ctx context.Context) (idle float64, source string, err error)
}

// Monitor samples in the background. Its zero value is not usable; see Start.
type Monitor struct {
	snapshot atomic.Pointer[Snapshot]
	probes   [3]*probe // cpu, memory, io
	interval time.Duration
	stop     context.CancelFunc
	stopped  chan struct{}
}

var _ executor.Monitor = (*Monitor)(nil)

// Options changes what a monitor reads. The zero value is right for nearly everybody.
type Options struct {
	// Interval between samples; while scarcity is above 0.5 it is at most 250 ms. Default 1 s.
	Interval time.Duration
	// CPU, Memory and IO replace the sources of this machine, e.g. by those of a target's node.
	CPU, Memory, IO Source
}

// Start takes a first sample, at most 500 ms, and samples until Stop.
func Start(o Options) *Monitor {
	if o.Interval <= 0 {
		o.Interval = DefaultInterval
	}
	host := newHost("/")
	pick := func(given, own Source) *probe {
		if given == nil {
			given = own
		}
		return &probe{source: given}
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Monitor{interval: o.Interval, stop: cancel, stopped: make(chan struct{})}
	m.probes = [3]*probe{pick(o.CPU, host.cpu()), pick(o.Memory, host.memory()), pick(o.IO, host.io())}
	m.sample(ctx)
	go m.run(ctx)
	return m
}

// Stop ends sampling; the last snapshot stays. A read that hangs is not waited for.
func (m *Monitor) Stop() {
	m.stop()
	<-m.stopped
}

// Snapshot returns the latest sample.
func (m *Monitor) Snapshot() Snapshot { return *m.snapshot.Load() }

// stretch is how much longer things take at full scarcity, less 1; the default Alpha of executor.Tuning.
const stretch = 3

// Normalized is a clock that runs slower while this machine is short of resources: a second at scarcity S
// counts 1/(1+3*S) s. The difference of two readings is the time that something would have
// taken on an idle machine, by the same measure as executor.LoadFactor; so that budgets can be judged on it.
func (m *Monitor) Normalized() time.Duration {
	s := m.snapshot.Load()
	return s.Normalized + normalize(time.Since(s.Time), s.Scarcity)
}

func normalize(d time.Duration, scarcity float64) time.Duration {
	return time.Duration(float64(d) / (1 + stretch*scarcity))
}

// Age is the time since the oldest of the readings, i.e. for how long a source has been failing.
func (s Snapshot) Age(now time.Time) time.Duration {
	oldest := s.CPU.At
	for _, r := range []Reading{s.Memory, s.IO} {
		if r.At.Before(oldest) {
			oldest = r.At
		}
	}
	return now.Sub(oldest)
}

// Load is the latest scarcity, for an executor.
func (m *Monitor) Load() executor.Load {
	s := m.snapshot.Load()
	return executor.Load{Scarcity: s.Scarcity, Resource: s.Resource}
}

func (m *Monitor) run(ctx context.Context) {
	defer close(m.stopped)
	timer := time.NewTimer(m.interval)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		m.sample(ctx)
		next := m.interval
		if m.snapshot.Load().Scarcity > .5 {
			next = min(next, fastInterval)
		}
		timer.Reset(next)
	}
}

// sample reads all sources at the same time, and publishes what came in time.
func (m *Monitor) sample(life context.Context) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(life, readLimit)
	defer cancel()
	var wg sync.WaitGroup
	var readings [3]Reading
	for i, p := range m.probes {
		wg.Go(func() { readings[i] = p.read(ctx) })
	}
	wg.Wait()
	if life.Err() != nil && m.snapshot.Load() != nil {
		return // stopped in the middle; that is nothing about the sources
	}
	now := time.Now()
	s := &Snapshot{Time: now, CPU: readings[0], Memory: readings[1], IO: readings[2], Cost: now.Sub(began)}
	for i, knee := range []float64{KneeCPU, KneeMemory, KneeIO} {
		scarcity := min(max((knee-readings[i].Idle)/knee, 0), 1)
		if now.Sub(readings[i].At) > staleAfter {
			scarcity = max(scarcity, staleScarcity)
		}
		if scarcity > s.Scarcity {
			s.Scarcity, s.Resource = scarcity, []string{"cpu", "memory", "io"}[i]
		}
	}
	if last := m.snapshot.Load(); last != nil {
		s.Normalized = last.Normalized + normalize(now.Sub(last.Time), last.Scarcity)
	}
	m.snapshot.Store(s)
}

// probe reads one source in a goroutine that it can leave behind: at most one, until that read returns.
type probe struct {
	source  Source
	pending chan Reading // of a read that has not returned
	last    Reading
}

func (p *probe) read(ctx context.Context) Reading {
	if p.pending == nil {
		p.pending = make(chan Reading, 1)
		go measure(ctx, p.source, p.pending)
	}
	select {
	case r := <-p.pending:
		p.pending = nil
		if r.Err == "" {
			p.last = r
		} else {
			p.last.Err = r.Err
		}
	case <-ctx.Done():
		p.last.Err = "read hangs"
	}
	return p.last
}

func measure(ctx context.Context, source Source, out chan<- Reading) {
	idle, name, err := source.Read(ctx)
	r := Reading{Idle: min(max(idle, 0), 1), Source: name, At: time.Now()}
	if err != nil {
		r.Err = err.Error()
	}
	out <- r
}
