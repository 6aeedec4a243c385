package kind

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"sigs.k8s.io/yaml"

	"github.com/cutset-dev/cutset/framework/provider"
	"github.com/cutset-dev/cutset/framework/provider/disk"
)

var _ provider.Fillable = (*machine)(nil)

const (
	// volumes is where a node keeps its volumes, with kind's own storage class and with the one of hack/images/node.
	volumes = "/var/local-path-provisioner"
	// disks is a directory of the host, for one of each cluster.
	disks = "/run/cutset"
)

// disksOf is where a cluster's disks are.
func disksOf(cluster string) string { return filepath.Join(disks, cluster) }

// unbounded says why the nodes can't have disks of their own, or "".
func unbounded(ctx context.Context, keep bool) string {
	switch engine, err := docker(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"); {
	case keep:
		return "the cluster is kept, and nobody would remove its nodes' disks; without -cluster and -keep-cluster they have some"
	case err != nil:
		return err.Error()
	case !strings.HasPrefix(engine, "unix://"):
		return "the nodes' disks have to be mounted where the container engine runs, and that is " + engine
	case os.Geteuid() != 0:
		return "the nodes' disks have to be mounted on this host, which takes root"
	}
	return ""
}

// withDisks gives every worker node a disk of its own. It returns a file with the cluster's configuration and them.
func (c *Cluster) withDisks(config string) (string, error) {
	text, err := os.ReadFile(config) //nolint:gosec // the caller's file
	if err != nil {
		return "", err
	}
	var cluster map[string]any
	if err := yaml.Unmarshal(text, &cluster); err != nil {
		return "", fmt.Errorf("read %s: %w", config, err)
	}
	nodes, _ := cluster["nodes"].([]any)
	for at, n := range nodes {
		node, _ := n.(map[string]any)
		if node == nil || node["role"] != "worker" {
			continue
		}
		dir := filepath.Join(disksOf(c.state.Name), strconv.Itoa(at))
		if err := disk.Mount(dir); err != nil {
			return "", err
		}
		mounts, _ := node["extraMounts"].([]any)
		node["extraMounts"] = append(mounts, map[string]any{"hostPath": dir, "containerPath": volumes})
	}
	if text, err = yaml.Marshal(cluster); err != nil {
		return "", err
	}
	file := filepath.Join(disksOf(c.state.Name), "kind.yaml")
	return file, os.WriteFile(file, text, 0o600)
}

// removeDisks removes all that withDisks made, also what a killed run left of it.
func removeDisks(cluster string) error {
	dir := disksOf(cluster)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, e := range entries {
		errs = append(errs, disk.Unmount(filepath.Join(dir, e.Name())))
	}
	errs = append(errs, os.Remove(dir))
	_ = os.Remove(disks) // unless another cluster's are there
	return errors.Join(errs...)
}

// checkDisks makes sure that each machine's volumes are on the disk that this host made for it: an engine may be local and
// not see this process's mounts.
func (c *Cluster) checkDisks(ctx context.Context) error {
	for _, name := range c.Machines() {
		node, err := c.Node(name)
		if err != nil {
			return err
		}
		m := &machine{Node: node, cluster: c}
		dir, err := m.disk(ctx)
		if err != nil {
			return err
		}
		var here unix.Stat_t
		if err := unix.Stat(dir, &here); err != nil {
			return fmt.Errorf("look at %s: %w", dir, err)
		}
		there, err := m.on(ctx, "stat -c %d "+volumes)
		if err != nil {
			return err
		}
		if there != strconv.FormatUint(here.Dev, 10) {
			return fmt.Errorf("the volumes of machine %s are not on the disk that was made for it: device %s, not %d", name, there, here.Dev)
		}
	}
	return nil
}

// disk returns the directory of this host that the node keeps its volumes on.
func (m *machine) disk(ctx context.Context) (string, error) {
	const format = `{{range .Mounts}}{{if eq .Destination "` + volumes + `"}}{{.Source}}{{end}}{{end}}`
	dir, err := docker(ctx, "container", "inspect", "--format", format, m.NodeName())
	if err != nil {
		return "", err
	}
	if filepath.Dir(dir) != disksOf(m.cluster.state.Name) {
		return "", fmt.Errorf("machine %s has no disk of its own, its volumes are in %q: %w", m.Name(), dir, errors.ErrUnsupported)
	}
	return dir, nil
}

// Fill implements [provider.Fillable].
func (m *machine) Fill(ctx context.Context) error {
	dir, err := m.disk(ctx)
	if err != nil {
		return err
	}
	return disk.Fill(ctx, dir)
}

// Free implements [provider.Fillable].
func (m *machine) Free(ctx context.Context) error {
	dir, err := m.disk(ctx)
	if err != nil {
		return err
	}
	return disk.Free(dir)
}

// Full implements [provider.Fillable] with what the host sees: the same disk as the node's pods see, but for a node that is down.
func (m *machine) Full(ctx context.Context) (full bool, seen string, err error) {
	dir, err := m.disk(ctx)
	if err != nil {
		return false, "", err
	}
	return disk.Full(dir)
}
