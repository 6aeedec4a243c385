package executor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// Executor runs commands. It is safe for concurrent use and needs no Start; call Drain to end it.
type Executor struct {
	levels  []*level // by falling weight; the slice and byName never change
	byName  map[string]*level
	tuning  Tuning
	monitor Monitor
	targets TargetMonitor // monitor, if it is one
	sinks   []*outbox[Alert]
	records []*outbox[AttemptRecord]
	limits  limits
	epoch   time.Time

	mu            sync.Mutex
	rng           *rand.Rand
	load          Load // as read before the mutex was taken
	limit         int  // slots now, at most limits.max
	inflight      int
	unusedReserve int
	active        int      // tasks that are not complete
	live          *attempt // all whose goroutines are there, as a list
	timers        timers
	timer         *time.Timer
	armed         instant // when timer fires; 0 when it does not
	ticker        loadTick
	closed        bool
	changed       chan struct{} // closed and replaced on progress while draining
	ended         *task         // complete ones, by next, whose watch on their context ends after the mutex is released
}

// Option sets up the wiring of an executor.
type Option func(*Executor) error

// WithLimit sets the number of slots of all classes together. The default is the sum of their caps.
// Under scarcity the limit shrinks to a quarter of this, but not below the reserves.
func WithLimit(n int) Option {
	return func(e *Executor) error {
		if n < 1 {
			return fmt.Errorf("limit %d: must be at least 1", n)
		}
		e.limits.max = n
		return nil
	}
}

// WithMonitor lets the load of the machine stretch timeouts, cut retries, shrink the limit and shed classes.
// Without one, the machine is taken to be idle.
func WithMonitor(m Monitor) Option {
	return func(e *Executor) error {
		e.monitor = m
		e.targets, _ = m.(TargetMonitor)
		return nil
	}
}

// WithSinks sets where alerts go, in place of the default, NewSlogSink(nil). WithSinks() without arguments
// turns alerts off.
func WithSinks(sinks ...Sink) Option {
	return func(e *Executor) error {
		e.sinks = nil
		for _, s := range sinks {
			e.sinks = append(e.sinks, newSinkQueue(s))
		}
		return nil
	}
}

// WithObserver adds a function that gets a record of every attempt, in order, from one goroutine. A slow observer
// loses the oldest records (see Stats.RecordsDropped) but never holds the executor up.
func WithObserver(f func(AttemptRecord)) Option {
	return func(e *Executor) error {
		e.records = append(e.records, newRecordQueue(f))
		return nil
	}
}

// WithTuning changes the constants of the timeout formula.
func WithTuning(t Tuning) Option {
	return func(e *Executor) error {
		e.tuning = t
		return nil
	}
}

// WithSeed makes jitter repeatable. The default is a random seed.
func WithSeed(seed uint64) Option {
	return func(e *Executor) error {
		e.rng = rand.New(rand.NewPCG(seed, 0))
		return nil
	}
}

// New makes an executor of the given classes. Every mistake in them is named in the error, which
// matches ErrConfig; see also Warnings.
func New(classes []Class, opts ...Option) (*Executor, error) {
	e := &Executor{
		byName:  make(map[string]*level),
		rng:     rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
		changed: make(chan struct{}),
		epoch:   time.Now().Add(-1), // so that no instant from here on is 0
	}
	errs := []error{WithSinks(NewSlogSink(nil))(e)}
	for _, opt := range opts {
		errs = append(errs, opt(e))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	normal, limit, err := normalize(classes, e.limits.max)
	if err != nil {
		return nil, err
	}
	e.tuning = e.tuning.withDefaults()
	now := e.now()
	for rank, c := range normal {
		l := newLevel(c, rank, now)
		e.levels = append(e.levels, l)
		e.byName[c.Name] = l
		e.unusedReserve += c.Reserve
	}
	e.limits = limits{max: limit, floor: min(limit, e.unusedReserve+1)}
	e.limit = limit
	e.ticker = newLoadTick(now)
	e.timer = time.AfterFunc(time.Hour, e.onTimer)
	e.timer.Stop()
	return e, nil
}

// Classes returns the classes with all defaults filled in, by falling weight.
func (e *Executor) Classes() []Class {
	out := make([]Class, 0, len(e.levels))
	for _, l := range e.levels {
		out = append(out, l.Class)
	}
	return out
}

// lock takes the mutex and brings the executor's idea of the load up to date. The monitor is read
// before, because it is foreign code.
func (e *Executor) lock() instant {
	load := e.readLoad()
	e.mu.Lock()
	now := e.now()
	e.load = load
	if e.monitor != nil {
		e.tick(now)
	}
	return now
}

// unlock starts what may start and releases the mutex. With keep, the first of the started attempts is
// returned for the caller's goroutine to run; all others get goroutines of their own.
func (e *Executor) unlock(now instant, keep bool) (mine *attempt) {
	for t := e.pick(now); t != nil; t = e.pick(now) {
		a := e.start(t, now)
		if keep && mine == nil {
			mine = a
		} else {
			go e.work(a)
		}
	}
	e.armTick(now)
	e.arm(now)
	ended := e.ended
	e.ended = nil
	e.mu.Unlock()
	for t := ended; t != nil; {
		next := t.next
		t.next = nil
		t.stop()
		t = next
	}
	return mine
}

// arm makes the one timer fire no later than the earliest event. A timer that fires for an event that is
// gone costs less than resetting it for every command.
func (e *Executor) arm(now instant) {
	head := e.timers.head()
	if head == nil || e.armed != 0 && head.when >= e.armed {
		return
	}
	e.armed = head.when
	e.timer.Reset(max(head.when.sub(now), 0))
}

// onTimer runs in a goroutine of the runtime's, once per firing.
func (e *Executor) onTimer() {
	now := e.lock()
	e.armed = 0
	for ev := e.timers.head(); ev != nil && ev.when <= now; ev = e.timers.head() {
		e.timers.drop(ev)
		ev.what.due(e, now)
	}
	e.unlock(now, false)
}
