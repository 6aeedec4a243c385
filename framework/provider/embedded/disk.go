package embedded

import (
	"context"
	"errors"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/disk"
)

var _ provider.Fillable = (*machine)(nil)

// unbounded says why no disk can be filled.
func (c *Cluster) unbounded() string {
	return "the machines' disks are directories of this host's, and filling one would fill that (" + c.reason + ")"
}

// Fill implements [provider.Fillable].
func (m *machine) Fill(ctx context.Context) error {
	if m.cluster.network == nil {
		return errors.New("fill the disk of machine " + m.Label + ": " + m.cluster.unbounded())
	}
	return disk.Fill(ctx, m.disk)
}

// Free implements [provider.Fillable].
func (m *machine) Free(context.Context) error { return disk.Free(m.disk) }

// Full implements [provider.Fillable].
func (m *machine) Full(context.Context) (full bool, seen string, err error) {
	return disk.Full(m.disk)
}
