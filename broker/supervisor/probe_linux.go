package supervisor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"sluice/broker/handover"
)

// inventoryBytesMax bounds what a probe may print.
const inventoryBytesMax = 1 << 20

// ErrProbe is wrapped by Probe's errors: the drivers could not be asked.
var ErrProbe = errors.New("probing the host's devices")

// Probe asks the host's drivers for their devices, in a process of its own and within a time limit, confined as workers
// are. Where the daemon is not root and the host refuses user namespaces, it finds that out here, says so loudly, and
// workers run without confinement. Probe is called before Run.
func (s *Supervisor) Probe(ctx context.Context) (handover.Inventory, error) {
	inventory, err := s.probe(ctx)
	if err == nil || s.confinement != confinedByUser {
		return inventory, err
	}
	s.confinement = unconfined
	inventory, plainErr := s.probe(ctx)
	if plainErr != nil {
		s.confinement = confinedByUser
		return handover.Inventory{}, err
	}
	s.config.Log.Warn("WORKERS ARE NOT CONFINED: this user may not make namespaces, so a tenant's kernel can reach "+
		"whatever this user can; run the daemon as root, or allow user namespaces", "error", err)
	return inventory, nil
}

// Confined tells, after Probe, whether workers run confined.
func (s *Supervisor) Confined() bool { return s.confinement != unconfined }

func (s *Supervisor) probe(ctx context.Context) (handover.Inventory, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.ProbeTimeout)
	defer cancel()
	path := filepath.Join(s.config.Folder, "inventory.json")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return handover.Inventory{}, fmt.Errorf("%w: %w", ErrProbe, err)
	}
	defer file.Close()
	began := time.Now()
	p, err := s.start(handover.ModeProbe, file)
	if err != nil {
		return handover.Inventory{}, fmt.Errorf("%w: %w", ErrProbe, err)
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		<-p.Done()
		return handover.Inventory{}, fmt.Errorf("%w: no answer in %s, the driver hangs: %w", ErrProbe, s.config.ProbeTimeout, ctx.Err())
	}
	if !p.success {
		return handover.Inventory{}, fmt.Errorf("%w: the probe ended: %s", ErrProbe, p.Reason())
	}
	inventory, err := readInventory(file)
	if err != nil {
		return handover.Inventory{}, err
	}
	s.config.Log.Info("devices probed", "devices", len(inventory.Devices), "notes", inventory.Notes,
		"duration_ms", time.Since(began).Milliseconds())
	return inventory, nil
}

// readInventory trusts the probe no more than a worker: its size and every device are checked.
func readInventory(file io.ReaderAt) (handover.Inventory, error) {
	text, err := io.ReadAll(io.NewSectionReader(file, 0, inventoryBytesMax+1))
	if err != nil {
		return handover.Inventory{}, fmt.Errorf("%w: %w", ErrProbe, err)
	}
	if len(text) > inventoryBytesMax {
		return handover.Inventory{}, fmt.Errorf("%w: the inventory has over %d bytes", ErrProbe, inventoryBytesMax)
	}
	var inventory handover.Inventory
	if err := json.Unmarshal(text, &inventory); err != nil {
		return handover.Inventory{}, fmt.Errorf("%w: malformed inventory: %w", ErrProbe, err)
	}
	for _, d := range inventory.Devices {
		if err := d.Validate(); err != nil {
			return handover.Inventory{}, fmt.Errorf("%w: %w", ErrProbe, err)
		}
	}
	return inventory, nil
}
