package faultcalc

import (
	"iter"
	"math"
	"sync"
)

// walker is an engine E whose walk can be cut into tasks, which other engines
// over the same family do. What the tasks are depends on the family alone, and
// their results, in the order of the tasks, are those of the whole walk.
type walker[E any] interface {
	// clone returns an engine at the start of the walk.
	clone() E
	// top walks as far down as there are about manyTasks branches. At each
	// subtree that is left, and at each result above them, it calls give; a
	// worker can load the state from it then.
	top(give func() bool)
	load(at E)
	// finish walks through what was loaded and puts the results into the
	// lane; it returns false if the lane wants no more. With no lane it only
	// counts them, up to one more than most.
	finish(to *lane, most int64) (results int64, more bool)
}

// manyTasks is the product of branches where a subtree becomes a task.
const manyTasks = 256

// countParallel counts all results with that many workers, and stops soon
// after most.
func countParallel[E walker[E]](e E, workers int, most int64) int64 {
	top := e.clone()
	next, stop := iter.Pull(tasksOf(top))
	defer stop()
	var mu sync.Mutex
	found := int64(0)
	take := func(c E, before int64) bool {
		mu.Lock()
		defer mu.Unlock()
		if found += before; found > most {
			return false
		}
		_, ok := next()
		if ok {
			c.load(top)
		}
		return ok
	}
	var group sync.WaitGroup
	for range max(workers, 1) {
		group.Go(func() {
			c, n := e.clone(), int64(0)
			for take(c, n) {
				n, _ = c.finish(nil, most)
			}
		})
	}
	group.Wait()
	return found
}

func tasksOf[E walker[E]](top E) iter.Seq[struct{}] {
	return func(yield func(struct{}) bool) { top.top(func() bool { return yield(struct{}{}) }) }
}

// lane holds the results of one task until the consumer comes to it.
type lane struct {
	m      *merger
	buffer []uint64   // being filled by the worker
	ready  [][]uint64 // full buffers
	done   bool
}

const (
	laneBuffer = 1 << 10 // words in a buffer before it is passed on
	mostReady  = 1 << 9  // buffers that wait for the consumer: some 4 MB
)

// merger passes the results of tasks on in the order of the tasks. Workers run
// ahead of the consumer until there are mostReady buffers; only the worker of
// the first lane, which the consumer reads, goes on, so that nobody waits for
// ever.
type merger struct {
	mu      sync.Mutex
	changed *sync.Cond
	lanes   []*lane // of the tasks that were taken, without those consumed
	free    [][]uint64
	waiting int  // buffers in lanes
	all     bool // no more tasks come
	stopped bool // the consumer has had enough
}

// inOrder walks with that many workers and passes all results on in the order
// of the walk, as words; several results at once.
func inOrder[E walker[E]](e E, workers int, emit func(words []uint64) bool) {
	top := e.clone()
	next, stop := iter.Pull(tasksOf(top))
	defer stop()
	m := &merger{}
	m.changed = sync.NewCond(&m.mu)
	take := func(c E) *lane {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.stopped || m.all {
			return nil
		}
		if _, ok := next(); !ok {
			m.all = true
			m.changed.Broadcast()
			return nil
		}
		c.load(top)
		l := &lane{m: m, buffer: m.buffer()}
		m.lanes = append(m.lanes, l)
		return l
	}
	var group sync.WaitGroup
	defer group.Wait()
	defer m.stop()
	for range workers {
		group.Go(func() {
			c := e.clone()
			for l := take(c); l != nil; l = take(c) {
				if _, more := c.finish(l, math.MaxInt64); !more || !l.flush(true) {
					return
				}
			}
		})
	}
	m.consume(emit)
}

// buffer returns an empty one. The caller holds the lock.
func (m *merger) buffer() []uint64 {
	if n := len(m.free); n > 0 {
		b := m.free[n-1]
		m.free = m.free[:n-1]
		return b[:0]
	}
	return make([]uint64, 0, laneBuffer)
}

// put adds the words of one result; it returns false once nobody wants more.
func (l *lane) put(words ...uint64) bool {
	l.buffer = append(l.buffer, words...)
	return len(l.buffer) < laneBuffer || l.flush(false)
}

// flush passes the buffer on.
func (l *lane) flush(done bool) bool {
	m := l.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.waiting >= mostReady && m.lanes[0] != l && !m.stopped {
		m.changed.Wait()
	}
	if m.stopped {
		return false
	}
	l.ready, l.done = append(l.ready, l.buffer), done
	m.waiting++
	if l.buffer = nil; !done {
		l.buffer = m.buffer()
	}
	if m.lanes[0] == l {
		m.changed.Broadcast()
	}
	return true
}

// consume reads lane after lane.
func (m *merger) consume(emit func(words []uint64) bool) {
	var got [][]uint64
	for {
		m.mu.Lock()
		m.free = append(m.free, got...)
		for !m.all && len(m.lanes) == 0 || len(m.lanes) > 0 && len(m.lanes[0].ready) == 0 {
			m.changed.Wait()
		}
		if len(m.lanes) == 0 {
			m.mu.Unlock()
			return
		}
		first := m.lanes[0]
		got, first.ready = first.ready, nil
		m.waiting -= len(got)
		if first.done {
			m.lanes = m.lanes[1:]
		}
		m.changed.Broadcast()
		m.mu.Unlock()
		for _, words := range got {
			if !emit(words) {
				return
			}
		}
	}
}

func (m *merger) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.stopped = true
	m.changed.Broadcast()
}
