package faultcalc

import "iter"

// coveringArray yields fault sets such that any t affected nodes are seen in
// all 2^t combinations of up and down.
//
// For pairs the number of sets is the least possible (Kleitman and Spencer,
// Katona): about log2 n + (log2 log2 n)/2. For other strengths it is built
// parameter by parameter (IPOG), which is short, not shortest.
func (m *Model) coveringArray(t int) iter.Seq[Set] {
	nodes := m.affected.appendIndices(nil)
	var rows [][]bool
	switch t {
	case 1:
		rows = [][]bool{make([]bool, len(nodes)), make([]bool, len(nodes))}
		for i := range nodes {
			rows[1][i] = true
		}
	case 2:
		rows = pairwise(len(nodes))
	default:
		rows = ipog(len(nodes), t)
	}
	return func(yield func(Set) bool) {
		s := newSet(len(m.nodes))
		for _, row := range rows {
			clear(s.w)
			for i, down := range row {
				if down {
					s.add(int(nodes[i]))
				}
			}
			if !yield(s) {
				return
			}
		}
	}
}

// pairwise gives every column another half-sized subset of the rows but the
// first, in which all are up: any two subsets overlap, since each has more
// than half of the rows, and neither contains the other.
func pairwise(n int) [][]bool {
	rows := 2
	for binomial(rows-1, (rows+1)/2) < float64(n) {
		rows++
	}
	array := make([][]bool, rows)
	for i := range array {
		array[i] = make([]bool, n)
	}
	elems := make([]int32, rows-1)
	for i := range elems {
		elems[i] = int32(i + 1)
	}
	column := 0
	combinations(elems, (rows+1)/2, newSet(rows), func(s Set) bool {
		for i := range s.All() {
			array[i][column] = true
		}
		column++
		return column < n
	})
	return array
}

// ipog builds a covering array of strength t over n >= t binary columns.
func ipog(n, t int) [][]bool {
	array := make([][]bool, 1<<t)
	for i := range array {
		array[i] = make([]bool, t, n)
		for j := range t {
			array[i][j] = i>>j&1 == 1
		}
	}
	for col := t; col < n; col++ {
		array = grow(array, col, t)
	}
	return array
}

// grow adds one column. Each t-1 earlier columns, with the new one, have to
// show all patterns; open holds those still missing as one word of bits each.
func grow(array [][]bool, col, t int) [][]bool {
	var groups [][]int32
	earlier := make([]int32, col)
	for i := range earlier {
		earlier[i] = int32(i)
	}
	combinations(earlier, t-1, newSet(col), func(s Set) bool {
		groups = append(groups, s.appendIndices(nil))
		return true
	})
	seen := make([][]bool, len(groups))
	for g := range seen {
		seen[g] = make([]bool, 1<<t)
	}
	pattern := func(row []bool, group []int32, value bool) int {
		p := 0
		for i, c := range group {
			if row[c] {
				p |= 1 << i
			}
		}
		if value {
			p |= 1 << (t - 1)
		}
		return p
	}
	for r, row := range array {
		gain := 0
		for g, group := range groups {
			if !seen[g][pattern(row, group, true)] {
				gain++
			}
			if !seen[g][pattern(row, group, false)] {
				gain--
			}
		}
		value := gain > 0
		for g, group := range groups {
			seen[g][pattern(row, group, value)] = true
		}
		array[r] = append(row, value)
	}
	return fill(array, groups, seen, col, t)
}

// fill adds rows for the patterns that the new column still misses. Cells that
// no pattern needs stay up and may be used by a later one.
func fill(array [][]bool, groups [][]int32, seen [][]bool, col, t int) [][]bool {
	var fresh [][]bool
	var fixed [][]bool
	for g, group := range groups {
		for p, ok := range seen[g] {
			if ok {
				continue
			}
			cells := append(append([]int32{}, group...), int32(col))
			want := func(i int) bool { return p>>i&1 == 1 }
			at := -1
			for r := range fresh {
				fits := true
				for i, c := range cells {
					fits = fits && (!fixed[r][c] || fresh[r][c] == want(i))
				}
				if fits {
					at = r
					break
				}
			}
			if at < 0 {
				at = len(fresh)
				fresh, fixed = append(fresh, make([]bool, col+1)), append(fixed, make([]bool, col+1))
			}
			for i, c := range cells[:t] {
				fresh[at][c], fixed[at][c] = want(i), true
			}
		}
	}
	return append(array, fresh...)
}
