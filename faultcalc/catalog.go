package faultcalc

import (
	"iter"
	"math/bits"
	"slices"
)

// catalog has the minimal transversals of a family in a form that is read in
// sorted order, however many there are: a zero-suppressed diagram for each
// component, with its levels in topology order, that knows the sizes of its
// sets.
type catalog struct {
	order []int32 // nodes of all components, ascending
	part  []int32 // per node its component
	level []int32 // per node its level there
	parts []catalogPart
}

type catalogPart struct {
	nodes
	root  int32
	width int
	sizes []uint64 // per diagram node, width words: the sizes of its sets
}

// newCatalog returns nil if a component has too many sets to list them and too
// little structure for a diagram.
func newCatalog(f *family) *catalog {
	c := &catalog{part: make([]int32, f.n), level: make([]int32, f.n)}
	for i, part := range split(f) {
		comp := components(part)[0]
		for l, v := range comp {
			c.part[v], c.level[v] = int32(i), int32(l)
		}
		z, root, ok := c.diagram(part, comp)
		if !ok {
			return nil
		}
		c.order = append(c.order, comp...)
		c.parts = append(c.parts, catalogPart{nodes: z, root: root})
		c.parts[i].measure()
	}
	slices.Sort(c.order)
	return c
}

// diagram tries what is cheap first: few sets or much structure. Sizes take
// memory, so that there may be fewer diagram nodes the more nodes there are.
func (c *catalog) diagram(f *family, comp []int32) (nodes, int32, bool) {
	const little, long, much = 1 << 13, 1 << 21, 1 << 17
	width := len(comp)>>6 + 1
	if z, root, ok := orderedDiagram(f, comp, little); ok {
		return z, root, true
	}
	if z, root, ok := c.listed(f, len(comp), long/width); ok {
		return z, root, true
	}
	return orderedDiagram(f, comp, much/width)
}

func orderedDiagram(f *family, comp []int32, budget int) (nodes, int32, bool) {
	d, err := ordered(f, comp, budget)
	if err != nil {
		return nodes{}, 0, false
	}
	z, root, err := minimalSets(d.bdd, d.root, budget)
	if err != nil {
		return nodes{}, 0, false
	}
	return z.nodes, root, true
}

// listed makes a diagram of a list whose sets have that many nodes together.
func (c *catalog) listed(f *family, levels, most int) (nodes, int32, bool) {
	list := csr{off: []int32{0}}
	for s := range transversals(f) {
		for v := range s.All() {
			list.elem = append(list.elem, c.level[v])
		}
		if list.close(); len(list.elem) > most {
			return nodes{}, 0, false
		}
	}
	sets := make([][]int32, list.len())
	for i := range sets {
		sets[i] = list.row(i)
	}
	slices.SortFunc(sets, slices.Compare[[]int32])
	z := newNodes(levels)
	root := z.trie(sets, 0)
	return z, root, true
}

// measure works out the sizes; the sets with the variable of a node have one
// more node than below it.
func (p *catalogPart) measure() {
	p.table = nil // needed for building only
	p.width = int(p.vars)>>6 + 1
	p.sizes = make([]uint64, len(p.level)*p.width)
	p.sizes[p.width] = 1
	for _, n := range p.reachable(p.root) {
		lo, hi, carry := p.sizesAt(p.lo[n]), p.sizesAt(p.hi[n]), uint64(0)
		for k, size := range p.sizesAt(n) {
			p.sizesAt(n)[k] = size | lo[k] | hi[k]<<1 | carry
			carry = hi[k] >> 63
		}
	}
}

func (p *catalogPart) sizesAt(n int32) []uint64 {
	return p.sizes[int(n)*p.width : (int(n)+1)*p.width]
}

// bySize yields, for each size there is, the sets of that size, borrowed: from
// the smallest size on in lexicographic order, or, if largest, from the largest
// size on in reverse order, which is the order of the complements.
func (c *catalog) bySize(largest bool) iter.Seq[iter.Seq[Set]] {
	return func(yield func(iter.Seq[Set]) bool) {
		r := &catalogReader{catalog: c, largest: largest, set: newSet(len(c.part))}
		for _, p := range c.parts {
			r.at = append(r.at, p.root)
		}
		for i := range r.sums {
			r.sums[i] = make([]uint64, len(c.order)>>6+1)
		}
		for k := range len(c.order) + 1 {
			size := k
			if largest {
				size = len(c.order) - k
			}
			sets := func(yield func(Set) bool) {
				r.yield = yield
				r.walk(0, size)
			}
			if r.canEnd(size) && !yield(sets) {
				return
			}
		}
	}
}

type catalogReader struct {
	*catalog
	largest bool
	yield   func(Set) bool
	at      []int32 // per component the diagram node of the choices so far
	set     Set
	sums    [2][]uint64 // scratch
}

// walk decides the nodes from the i-th on, with that many still to be chosen,
// which is possible. It returns false when the consumer has had enough.
func (r *catalogReader) walk(i, missing int) bool {
	for ; i < len(r.order); i++ {
		v := r.order[i]
		if k := r.part[v]; r.parts[k].level[r.at[k]] == r.level[v] {
			return r.decide(i, missing)
		}
	}
	return r.yield(r.set)
}

func (r *catalogReader) decide(i, missing int) bool {
	v := r.order[i]
	k := r.part[v]
	p, n := &r.parts[k], r.at[k]
	lo, hi := p.lo[n], p.hi[n]
	for turn := range 2 {
		in := turn == 0 != r.largest
		if !in && lo == 0 {
			continue
		}
		child, left := lo, missing
		if in {
			child, left = hi, missing-1
		}
		// A choice that has no alternative is possible, as all of this is.
		if r.at[k] = child; lo != 0 && !r.canEnd(left) {
			continue
		}
		if in {
			r.set.add(int(v))
		}
		more := r.walk(i+1, left)
		if in {
			r.set.remove(int(v))
		}
		if !more {
			return false
		}
	}
	r.at[k] = n
	return true
}

// canEnd says whether what is left of the components has sets of sizes that
// add up to that many nodes.
func (r *catalogReader) canEnd(missing int) bool {
	sums, other := r.sums[0], r.sums[1]
	clear(sums)
	sums[0] = 1
	for k := range r.parts {
		sizes := r.parts[k].sizesAt(r.at[k])
		if size, ok := single(sizes); ok {
			missing -= size
			continue
		}
		clear(other)
		for j, word := range sizes {
			for ; word != 0; word &= word - 1 {
				orShifted(other, sums, j<<6+bits.TrailingZeros64(word))
			}
		}
		sums, other = other, sums
	}
	return missing >= 0 && missing>>6 < len(sums) && sums[missing>>6]>>(missing&63)&1 != 0
}

// single returns the only member of a set of numbers, if it has just one.
func single(words []uint64) (member int, ok bool) {
	for k, w := range words {
		if w == 0 {
			continue
		}
		if ok || w&(w-1) != 0 {
			return 0, false
		}
		member, ok = k<<6+bits.TrailingZeros64(w), true
	}
	return member, ok
}

// orShifted adds the members of one set of numbers, each plus by, to another.
func orShifted(into, words []uint64, by int) {
	step, shift := by>>6, by&63
	for k := len(into) - 1; k >= step; k-- {
		into[k] |= words[k-step] << shift
		if shift > 0 && k > step {
			into[k] |= words[k-step-1] >> (64 - shift)
		}
	}
}
