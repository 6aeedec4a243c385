package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/alitto/pond/v2"
	"github.com/cutset-dev/cutset/executor"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/priority"
	"github.com/failsafe-go/failsafe-go/timeout"
	"github.com/panjf2000/ants/v2"
	"golang.org/x/sync/semaphore"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
)

// The set-up of the key scenarios, the same for all peers.
const (
	slots       = 16
	lowSlots    = 6 // where classes can be kept apart; by the sizing rule, see package executor
	highSlots   = slots - lowSlots
	commandTime = 250 * time.Millisecond // the timeout of a command
	tooLate     = 2 * time.Second
)

// work is a command: it should end when ctx does, and may not.
type work func(ctx context.Context) error

// peer runs commands of two classes. submit must not block for long; done is called at most once.
type peer interface {
	submit(high bool, w work, done func(error))
	// close releases what it can without waiting for hung commands.
	close()
}

// limited runs w with the timeout, as a caller of a plain pool would.
func limited(w work) error {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	return w(ctx)
}

var peers = []struct {
	name string
	make func() peer
}{
	{"channel pool", newChannelPool},
	{"x/sync semaphore", func() peer { return &semaphorePeer{semaphore.NewWeighted(slots)} }},
	{"ants", newAnts},
	{"pond, shared", func() peer { p := pond.NewPool(slots); return &pondPeer{p, p} }},
	{"pond, split 6+10", func() peer { return &pondPeer{pond.NewPool(lowSlots), pond.NewPool(highSlots)} }},
	{"failsafe bulkhead+timeout, shared", func() peer { p := bulk(slots); return &failsafePeer{low: p, high: p} }},
	{"failsafe bulkhead+timeout, split 6+10", func() peer { return &failsafePeer{low: bulk(lowSlots), high: bulk(highSlots)} }},
	{"failsafe priority limiter+timeout", newPriorityLimiter},
	{"controller-runtime priority queue", newControllerQueue},
	{"cutset executor", newExecutor},
}

type task struct {
	w    work
	done func(error)
}

type channelPool struct{ tasks chan task }

func newChannelPool() peer {
	p := &channelPool{make(chan task, 1<<16)}
	for range slots {
		go func() {
			for t := range p.tasks {
				t.done(limited(t.w))
			}
		}()
	}
	return p
}

func (p *channelPool) submit(_ bool, w work, done func(error)) { p.tasks <- task{w, done} }
func (p *channelPool) close()                                  { close(p.tasks) }

type semaphorePeer struct{ s *semaphore.Weighted }

func (p *semaphorePeer) submit(_ bool, w work, done func(error)) {
	go func() {
		if err := p.s.Acquire(context.Background(), 1); err != nil {
			done(err)
			return
		}
		defer p.s.Release(1)
		done(limited(w))
	}()
}
func (p *semaphorePeer) close() {}

type antsPeer struct{ p *ants.Pool }

func newAnts() peer {
	p, err := ants.NewPool(slots)
	if err != nil {
		panic(err)
	}
	return &antsPeer{p}
}

func (p *antsPeer) submit(_ bool, w work, done func(error)) {
	go func() { // Submit blocks while the pool is busy
		if err := p.p.Submit(func() { done(limited(w)) }); err != nil {
			done(err)
		}
	}()
}
func (p *antsPeer) close() { p.p.Release() }

type pondPeer struct{ low, high pond.Pool }

func (p *pondPeer) submit(high bool, w work, done func(error)) {
	pool := p.low
	if high {
		pool = p.high
	}
	if err := pool.Go(func() { done(limited(w)) }); err != nil {
		done(err)
	}
}

func (p *pondPeer) close() {
	p.low.Stop()
	p.high.Stop()
}

func bulk(n uint) failsafe.Executor[any] {
	return failsafe.With[any](bulkhead.NewBuilder[any](n).WithMaxWaitTime(tooLate).Build(), timeout.New[any](commandTime))
}

type failsafePeer struct {
	low, high failsafe.Executor[any]
	stop      func()
}

func newPriorityLimiter() peer {
	p := adaptivelimiter.NewPrioritizer()
	stop := p.ScheduleCalibrations(context.Background(), time.Second)
	limiter := adaptivelimiter.NewBuilder[any]().WithLimits(1, slots, slots).BuildPrioritized(p)
	ex := failsafe.With[any](limiter, timeout.New[any](commandTime))
	return &failsafePeer{
		low:  ex.WithContext(priority.Low.AddTo(context.Background())),
		high: ex.WithContext(priority.High.AddTo(context.Background())),
		stop: func() { _ = stop },
	}
}

func (p *failsafePeer) submit(high bool, w work, done func(error)) {
	ex := p.low
	if high {
		ex = p.high
	}
	go func() {
		done(ex.RunWithExecution(func(e failsafe.Execution[any]) error { return w(e.Context()) }))
	}()
}

func (p *failsafePeer) close() {
	if p.stop != nil {
		p.stop()
	}
}

// controllerQueue is the queue of controller-runtime with 16 workers, as in a controller.
type controllerQueue struct {
	q     priorityqueue.PriorityQueue[int]
	mu    sync.Mutex
	tasks map[int]task
	n     int
}

func newControllerQueue() peer {
	p := &controllerQueue{q: priorityqueue.New[int]("bench"), tasks: make(map[int]task)}
	for range slots {
		go func() {
			for {
				item, shutdown := p.q.Get()
				if shutdown {
					return
				}
				p.mu.Lock()
				t := p.tasks[item]
				delete(p.tasks, item)
				p.mu.Unlock()
				t.done(limited(t.w))
				p.q.Done(item)
			}
		}()
	}
	return p
}

func (p *controllerQueue) submit(high bool, w work, done func(error)) {
	p.mu.Lock()
	p.n++
	item := p.n
	p.tasks[item] = task{w, done}
	p.mu.Unlock()
	weight := 0
	if high {
		weight = 100
	}
	p.q.AddWithOpts(priorityqueue.AddOpts{Priority: &weight}, item)
}
func (p *controllerQueue) close() { p.q.ShutDown() }

type executorPeer struct{ ex *executor.Executor }

func newExecutor() peer {
	limit := executor.Timeout{Base: commandTime, Max: commandTime, Grace: 25 * time.Millisecond}
	ex, err := executor.New([]executor.Class{
		{Name: "low", Weight: 1, MaxParallel: lowSlots, MaxQueue: 64, MaxQuarantine: 64, Timeout: limit},
		{Name: "high", Weight: 100, MaxParallel: highSlots, Reserve: highSlots, MaxQuarantine: 64, Timeout: limit, Tier: executor.TierHigh},
	}, executor.WithLimit(slots), executor.WithSinks())
	if err != nil {
		panic(err)
	}
	return &executorPeer{ex}
}

func (p *executorPeer) submit(high bool, w work, done func(error)) {
	class := "low"
	if high {
		class = "high"
	}
	f := executor.Submit(context.Background(), p.ex, executor.Command[struct{}]{
		Class: class, Run: func(ctx context.Context, _ executor.Attempt) (struct{}, error) { return struct{}{}, w(ctx) },
	})
	go func() {
		_, err := f.Wait(context.Background())
		done(err)
	}()
}

func (p *executorPeer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := p.ex.Drain(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		panic(err)
	}
}
