package faultcalc

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// task is a subtree of a walk, or some leaves: tasks in order are the walk.
type task struct {
	cand, chosen, v uint64
	leaves          uint64 // not 0: results themselves, chosen with each of these
	uncovered, once []uint64
	list            []uint64
}

// split cuts the walk into tasks. What they are depends on the family alone,
// so that the order of results does not depend on the number of workers.
func (e *wordEngine) split() []task {
	const enough, deepest = 64, 6
	var tasks []task
	for depth := 1; depth <= deepest && len(tasks) < enough; depth++ {
		c := e.clone()
		c.cutAt = depth
		c.start()
		tasks = c.tasks
	}
	return tasks
}

// do runs one task on an engine that no one else uses.
func (e *wordEngine) do(t *task) bool {
	if t.leaves != 0 {
		return e.leaf(t.chosen, t.leaves)
	}
	depth := bits.OnesCount64(t.chosen)
	copy(e.uncovered[depth*e.width:], t.uncovered)
	copy(e.once[depth*e.width:], t.once)
	if e.width > 1 {
		e.lists[depth] = append(e.lists[depth][:0], t.list...)
	}
	return e.from(t.cand, t.chosen, t.v, depth)
}

// walkAll yields every minimal transversal as a borrowed set of n nodes.
func (e *wordEngine) walkAll(n, workers int, yield func(Set) bool) {
	set := newSet(n)
	before := uint64(0)
	emit := func(chosen uint64) bool {
		for d := chosen ^ before; d != 0; d &= d - 1 {
			v := e.node[bits.TrailingZeros64(d)]
			set.w[v>>6] ^= 1 << (v & 63)
		}
		before = chosen
		return yield(set)
	}
	tasks := e.split()
	if workers > 1 && len(tasks) > 1 {
		e.inParallel(tasks, workers, emit)
		return
	}
	c := e.clone()
	c.emit = emit
	for i := range tasks {
		if !c.do(&tasks[i]) {
			return
		}
	}
}

// inParallel lets workers take the tasks in order, and merges their results in
// the same order. A worker that is ahead of the consumer waits once it has two
// chunks ready; the first unfinished task always has a worker, so that nobody
// waits for ever.
func (e *wordEngine) inParallel(tasks []task, workers int, emit func(uint64) bool) {
	const chunk = 4096
	results := make([]chan []uint64, len(tasks))
	for i := range results {
		results[i] = make(chan []uint64, 2)
	}
	stop := make(chan struct{})
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			c := e.clone()
			for {
				i := int(next.Add(1)) - 1
				if i >= len(tasks) {
					return
				}
				buffer := make([]uint64, 0, chunk)
				send := func() bool {
					select {
					case results[i] <- buffer:
						buffer = make([]uint64, 0, chunk)
						return true
					case <-stop:
						return false
					}
				}
				c.emit = func(chosen uint64) bool {
					buffer = append(buffer, chosen)
					return len(buffer) < chunk || send()
				}
				if !c.do(&tasks[i]) || !send() {
					return
				}
				close(results[i])
			}
		})
	}
	defer group.Wait()
	defer close(stop)
	for _, r := range results {
		for sets := range r {
			for _, chosen := range sets {
				if !emit(chosen) {
					return
				}
			}
		}
	}
}

// countAll counts every minimal transversal with that many workers; it stops
// soon after most.
func (e *wordEngine) countAll(workers int) int64 {
	tasks := e.split()
	var next, found atomic.Int64
	var group sync.WaitGroup
	for range max(workers, 1) {
		group.Go(func() {
			c := e.clone()
			for found.Load() <= e.most {
				i := int(next.Add(1)) - 1
				if i >= len(tasks) {
					return
				}
				c.found = 0
				c.do(&tasks[i])
				found.Add(c.found)
			}
		})
	}
	group.Wait()
	return found.Load()
}
