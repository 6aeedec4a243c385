package faultcalc

// Status is what a fault set does to a table.
type Status struct {
	// Availability of the table: that of its worst shard. A table is redundant
	// when no single further node of the model's level makes it unavailable.
	Availability Availability `json:"availability"`
	// Shards has one entry per shard, in the order of the topology.
	Shards []ShardStatus `json:"shards"`
}

// ShardStatus is what a fault set does to one shard.
type ShardStatus struct {
	// Number identifies the shard.
	Number int `json:"number"`
	// Live is the number of data copies (primary or standby, not async, not
	// witness) that are up and on surviving nodes, whatever the rule.
	Live int `json:"available"`
	// Availability by nodes: NoBackup when some single further node takes the
	// shard down, however many replicas that node runs.
	Availability Availability `json:"availability"`
	// ReplicaAvailability by replicas, the notion of the published method's
	// component 4: NoBackup when the loss of some single further replica takes
	// the shard down. It is never worse than Availability, and better where
	// replicas of a shard share a node.
	ReplicaAvailability Availability `json:"replicaAvailability"`
}

// UnavailableShards returns the numbers of the shards that do not serve, in
// the order of the topology.
func (s Status) UnavailableShards() []int {
	var numbers []int
	for _, sh := range s.Shards {
		if sh.Availability == Unavailable {
			numbers = append(numbers, sh.Number)
		}
	}
	return numbers
}

// Status says what happens to the table and to each of its shards when the
// nodes of the set fail together. Nodes that hold nothing of the table change
// nothing. Time is linear in the number of replicas; ask [Model.Availability]
// when the shards are of no interest.
func (m *Model) Status(failed Set) Status {
	st := Status{Availability: Redundant, Shards: make([]ShardStatus, len(m.number))}
	for s := range st.Shards {
		sh := &st.Shards[s]
		*sh = m.shardStatus(s, failed)
		st.Availability = worse(st.Availability, sh.Availability)
	}
	return st
}

func (m *Model) shardStatus(s int, failed Set) ShardStatus {
	st := ShardStatus{Number: m.number[s], Availability: Redundant, ReplicaAvailability: Redundant}
	for r := m.rows.first[s]; r < m.rows.first[s+1]; r++ {
		live, heaviest := m.rows.survivors(int(r), failed)
		if r == m.rows.first[s] {
			st.Live = int(live)
		}
		need := m.rows.need[r]
		switch {
		case live < need:
			return ShardStatus{Number: st.Number, Live: st.Live, Availability: Unavailable, ReplicaAvailability: Unavailable}
		case live-1 < need && need > 0:
			st.Availability, st.ReplicaAvailability = NoBackup, NoBackup
		case live-heaviest < need:
			st.Availability = NoBackup
		}
	}
	return st
}

// survivors returns the weight of a row that survives and that of its
// heaviest surviving node.
func (r *rows) survivors(row int, failed Set) (live, heaviest int32) {
	lo, hi := r.off[row], r.off[row+1]
	for i := lo; i < hi; i++ {
		if !failed.Contains(int(r.elem[i])) {
			live += r.weight[i]
			heaviest = max(heaviest, r.weight[i])
		}
	}
	return live, heaviest
}

func worse(a, b Availability) Availability {
	if a == Unavailable || b == Unavailable {
		return Unavailable
	}
	if a == NoBackup || b == NoBackup {
		return NoBackup
	}
	return Redundant
}
