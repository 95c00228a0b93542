package main

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sluice/broker/client"
	"sluice/broker/lease"
)

func newLeasesCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "leases",
		Short: "List what is leased, to whom and until when",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withBroker(cmd.Context(), g, func(ctx context.Context, broker *client.Client) error {
				leases, err := broker.Leases(ctx)
				if err != nil {
					return err
				}
				return printList(cmd.OutOrStdout(), *output, leases, leaseHeader, leaseRows(leases, time.Now()))
			})
		},
	}
	output = addOutputFlag(command)
	return command
}

const leaseHeader = "ID TENANT HOLDER DEVICE MEMORY COMPUTE AGE EXPIRES-IN"

func leaseRows(leases []lease.Lease, now time.Time) (rows [][]string) {
	for _, l := range leases {
		devices, compute := sliceColumns(l)
		rows = append(rows, []string{
			l.ID, l.Tenant, l.Holder, devices, formatBytes(l.MemoryBytes()), compute, formatSince(l.GrantedAt, now),
			l.ExpiresAt.Sub(now).Truncate(time.Second).String(),
		})
	}
	return rows
}

// sliceColumns names the devices of a lease's slices and the compute reserved on each.
func sliceColumns(l lease.Lease) (devices, compute string) {
	var thousandths []string
	for _, slice := range l.Slices {
		thousandths = append(thousandths, strconv.Itoa(slice.ComputeMilli))
	}
	return l.Devices(), strings.Join(thousandths, ",")
}
