package faultcalc

import (
	"math"
	"slices"
	"sync"
)

// lookup answers what a fault set does to the table without a look at all
// shards. A set is unavailable if it contains some minimal cut, and has no
// backup if all but one node of some cut are in it; so only cuts that share
// enough nodes with it matter, and they are found by pairs of failed nodes.
type lookup struct {
	once sync.Once

	singles Set    // cuts of one node
	halves  Set    // nodes in cuts of two
	filed   csr    // per node: the cuts it is first or second in
	slots   []slot // open addressing by pair of nodes
	pairs   csr    // per pair: the cuts filed under it, as entries

	rowsAt csr   // per node: the rows it is in
	down   []int // positions of the shards that are unavailable anyway
}

// slot is one entry of a hash table. One look at it settles most questions, so
// key and value lie together.
type slot struct {
	key  uint64 // 0 is free
	pair int32
	only int32 // the entry, if there is one alone; else several
}

// An entry is a cut with a pair of nodes in it: with one node more, that node;
// with none, one of the two; with many, the complement of the number of the cut.
const several = math.MinInt32

// maxIndexed is how many cuts are worth an index.
const maxIndexed = 1 << 20

// index builds the lookup on first use.
func (m *Model) index() *lookup {
	x := &m.look
	x.once.Do(func() {
		matrix := family{n: len(m.nodes), edges: m.rows.csr}
		x.rowsAt = matrix.inverse()
		for s := range m.number {
			for r := m.rows.first[s]; r < m.rows.first[s+1]; r++ {
				if live, _ := m.rows.survivors(int(r), Set{}); live < m.rows.need[r] {
					x.down = append(x.down, s)
					break
				}
			}
		}
		if f := m.cuts(); f.edges.len() <= maxIndexed {
			x.build(f)
		}
	})
	return x
}

func (x *lookup) build(f *family) {
	x.singles, x.halves = newSet(f.n), newSet(f.n)
	first := csr{off: []int32{0}}
	var keys []uint64
	var entries []int32
	for e := range f.edges.len() {
		row := f.edges.row(e)
		first.push(row[:min(2, len(row))]...)
		switch len(row) {
		case 0:
		case 1:
			x.singles.add(int(row[0]))
		case 2:
			x.halves.add(int(row[0]))
			x.halves.add(int(row[1]))
			keys, entries = append(keys, pairOf(row[0], row[1])), append(entries, row[0])
		case 3:
			keys = append(keys, pairOf(row[0], row[1]), pairOf(row[0], row[2]), pairOf(row[1], row[2]))
			entries = append(entries, row[2], row[1], row[0])
		default:
			// Whichever one node is missing, two of the first three are there.
			keys = append(keys, pairOf(row[0], row[1]), pairOf(row[0], row[2]), pairOf(row[1], row[2]))
			entries = append(entries, ^int32(e), ^int32(e), ^int32(e))
		}
	}
	x.filed = (&family{n: f.n, edges: first}).inverse()
	x.filePairs(keys, entries)
}

func pairOf(u, v int32) uint64 { return uint64(u)<<32 | uint64(v) + 1 }

// filePairs groups the cuts by pair, by counting.
func (x *lookup) filePairs(keys []uint64, entries []int32) {
	size := 1024
	for size < 2*len(keys) {
		size *= 2
	}
	x.slots = make([]slot, size)
	at := make([]int32, len(keys))
	x.pairs.off = []int32{0}
	for i, k := range keys {
		s := x.find(k)
		if s.key == 0 {
			s.key, s.pair = k, int32(x.pairs.len())
			x.pairs.off = append(x.pairs.off, 0)
		}
		at[i] = s.pair
		x.pairs.off[s.pair+1]++
	}
	for p := range x.pairs.len() {
		x.pairs.off[p+1] += x.pairs.off[p]
	}
	next := slices.Clone(x.pairs.off)
	x.pairs.elem = make([]int32, len(entries))
	for i, p := range at {
		x.pairs.elem[next[p]] = entries[i]
		next[p]++
	}
	for i := range x.slots {
		s := &x.slots[i]
		if s.only = several; s.key != 0 && len(x.pairs.row(int(s.pair))) == 1 {
			s.only = x.pairs.row(int(s.pair))[0]
		}
	}
}

// find returns the slot of a key, or the free one where it belongs.
func (x *lookup) find(key uint64) *slot {
	mask := uint64(len(x.slots) - 1)
	for i := mix(key) & mask; ; i = (i + 1) & mask {
		if s := &x.slots[i]; s.key == key || s.key == 0 {
			return s
		}
	}
}

// missing counts the nodes of a cut that are not in the set, up to 2.
func missing(cut []int32, failed Set) int {
	n := 0
	for _, v := range cut {
		if !failed.Contains(int(v)) {
			if n++; n == 2 {
				break
			}
		}
	}
	return n
}

// missingOf is missing for an entry.
func (x *lookup) missingOf(entry int32, f *family, failed Set) int {
	switch {
	case entry < 0:
		return missing(f.edges.row(int(^entry)), failed)
	case failed.Contains(int(entry)):
		return 0
	default:
		return 1
	}
}

// missingAt is the least of the entries of a pair.
func (x *lookup) missingAt(s *slot, f *family, failed Set) int {
	if s.only != several {
		return x.missingOf(s.only, f, failed)
	}
	fewest := 2
	for _, entry := range x.pairs.row(int(s.pair)) {
		fewest = min(fewest, x.missingOf(entry, f, failed))
	}
	return fewest
}

// Availability is the table's part of [Model.Status], without the shards. It
// takes about a microsecond for a small fault set, however many shards there
// are; the first call builds an index.
func (m *Model) Availability(failed Set) Availability {
	// Few or very wide shards have more cuts than replicas.
	const few = 128
	if n := len(m.rows.elem); n <= few || n <= m.cuts().edges.len() || m.cuts().edges.len() > maxIndexed {
		return m.availabilityByRows(failed)
	}
	return m.availabilityByPairs(failed)
}

func (m *Model) availabilityByPairs(failed Set) Availability {
	f := m.cuts()
	x := m.index()
	switch {
	case f.hasEmpty():
		return Unavailable
	case failed.Intersects(x.singles):
		return Unavailable
	}
	near := !x.singles.IsEmpty() || failed.Intersects(x.halves)
	var buffer [24]int32
	nodes := failed.appendIndices(buffer[:0])
	if len(nodes) > len(buffer) {
		return availabilityOf(near, x.scan(f, nodes, failed))
	}
	fewest := 2
	for i, u := range nodes {
		for _, v := range nodes[i+1:] {
			p := x.find(pairOf(u, v))
			if p.key == 0 {
				continue
			}
			if fewest = min(fewest, x.missingAt(p, f, failed)); fewest == 0 {
				return Unavailable
			}
		}
	}
	return availabilityOf(near, fewest)
}

// scan is for large sets, in which most pairs are filed anyway: a cut that
// lacks one node at most has its first or second node there.
func (x *lookup) scan(f *family, nodes []int32, failed Set) int {
	fewest := 2
	for _, v := range nodes {
		if int(v) >= f.n {
			break
		}
		for _, e := range x.filed.row(int(v)) {
			if fewest = min(fewest, missing(f.edges.row(int(e)), failed)); fewest == 0 {
				return 0
			}
		}
	}
	return fewest
}

// availabilityOf judges by the fewest nodes that some cut lacks, or by what is
// known about near ones.
func availabilityOf(near bool, fewest int) Availability {
	switch {
	case fewest == 0:
		return Unavailable
	case fewest == 1 || near:
		return NoBackup
	default:
		return Redundant
	}
}

func (m *Model) availabilityByRows(failed Set) Availability {
	a := Redundant
	for r := range m.rows.need {
		live, heaviest := m.rows.survivors(r, failed)
		if live < m.rows.need[r] {
			return Unavailable
		}
		if live-heaviest < m.rows.need[r] {
			a = NoBackup
		}
	}
	return a
}

// UnavailableShards returns the numbers of the shards that do not serve when
// the nodes of the set fail, in the order of the topology. It looks at the
// replicas on these nodes only.
func (m *Model) UnavailableShards(failed Set) []int {
	x := m.index()
	at := slices.Clone(x.down)
	for v := range failed.All() {
		for _, r := range x.rowsAt.row(v) {
			if live, _ := m.rows.survivors(int(r), failed); live < m.rows.need[r] {
				s, exact := slices.BinarySearch(m.rows.first, r)
				if !exact {
					s--
				}
				at = append(at, s)
			}
		}
	}
	slices.Sort(at)
	at = slices.Compact(at)
	numbers := make([]int, len(at))
	for i, s := range at {
		numbers[i] = m.number[s]
	}
	return numbers
}
