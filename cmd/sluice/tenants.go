package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"google.golang.org/protobuf/types/known/durationpb"

	"sluice/proto/gen/control"
	"sluice/store"
)

func newTenantsCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "tenants",
		Short: "List the tenants with their limits; below it, make and change them and their API keys",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.ListTenants(ctx, &control.ListTenantsRequest{})
				if err != nil {
					return err
				}
				var rows [][]string
				for _, tenant := range response.GetTenants() {
					rows = append(rows, tenantRow(tenant))
				}
				return printMessages(cmd.OutOrStdout(), *output, response.GetTenants(),
					"NAME STATE KEYS INSTANCES SLICE-MEMORY REQUESTS/S REQUEST-SIZE", rows)
			})
		},
	}
	output = addOutputFlag(command)
	command.AddCommand(
		newTenantCreateCommand(g), newTenantLimitCommand(g), newTenantStateCommand(g, "disable", "End all that a tenant runs, and let its keys open nothing", true),
		newTenantStateCommand(g, "enable", "Let a disabled tenant in again", false),
		newKeyCommand(g), newKeysCommand(g), newRotateCommand(g), newRevokeCommand(g),
	)
	return command
}

func tenantRow(tenant *control.Tenant) []string {
	state, limits := "enabled", tenant.GetLimits()
	if tenant.GetDisabled() {
		state = "disabled"
	}
	unlessZero := func(zero bool, text string) string {
		if zero {
			return "-"
		}
		return text
	}
	return []string{
		tenant.GetName(), state, strconv.Itoa(int(tenant.GetKeys())),
		unlessZero(limits.GetInstances() == 0, strconv.Itoa(int(limits.GetInstances()))),
		unlessZero(limits.GetSliceMemoryBytes() == 0, formatBytes(limits.GetSliceMemoryBytes())),
		unlessZero(limits.GetRequestsPerSecond() == 0, strconv.FormatFloat(limits.GetRequestsPerSecond(), 'g', -1, 64)),
		unlessZero(limits.GetRequestBytes() == 0, formatBytes(uint64(limits.GetRequestBytes()))),
	}
}

// limitFlags are a tenant's limits as flags; 0 means none.
type limitFlags struct {
	instances         int32
	sliceMemory       string
	requestsPerSecond float64
	requestSize       string
}

func (f *limitFlags) register(set *pflag.FlagSet) {
	set.Int32Var(&f.instances, "instances", 0, "instances of all its functions; 0: no limit")
	set.StringVar(&f.sliceMemory, "slice-memory", "0", "memory of all slices of devices that it holds, such as 2Gi; 0: no limit")
	set.Float64Var(&f.requestsPerSecond, "requests-per-second", 0, "requests to the gateway; 0: no limit")
	set.StringVar(&f.requestSize, "request-size", "0", "size of one request, such as 4Mi; 0: no limit")
}

// apply puts the flags that were given over limits.
func (f *limitFlags) apply(set *pflag.FlagSet, limits *control.TenantLimits) error {
	sliceMemory, err := store.ParseMemory(f.sliceMemory)
	if err != nil {
		return usageError{fmt.Errorf("--slice-memory: %w", err)}
	}
	requestSize, err := store.ParseMemory(f.requestSize)
	if err != nil || requestSize > store.MaxTenantRequestBytes {
		return usageError{fmt.Errorf("--request-size: %q is not 0 to %s", f.requestSize, formatBytes(store.MaxTenantRequestBytes))}
	}
	for name, take := range map[string]func(){
		"instances":           func() { limits.Instances = f.instances },
		"slice-memory":        func() { limits.SliceMemoryBytes = sliceMemory },
		"requests-per-second": func() { limits.RequestsPerSecond = f.requestsPerSecond },
		"request-size":        func() { limits.RequestBytes = int32(requestSize) },
	} {
		if set.Changed(name) {
			take()
		}
	}
	return nil
}

func newTenantCreateCommand(g *globals) *cobra.Command {
	var flags limitFlags
	command := &cobra.Command{
		Use:   "create TENANT",
		Short: "Make a tenant and an API key for it; the key is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			limits := &control.TenantLimits{}
			if err := flags.apply(cmd.Flags(), limits); err != nil {
				return err
			}
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				if _, err := client.CreateTenant(ctx, &control.CreateTenantRequest{Tenant: args[0], Limits: limits}); err != nil {
					return callError{"making tenant " + args[0], err}
				}
				response, err := client.CreateKey(ctx, &control.CreateKeyRequest{Tenant: args[0]})
				if err != nil {
					return callError{"making a key for " + args[0], err}
				}
				fmt.Fprintln(cmd.OutOrStdout(), response.GetKey())
				return nil
			})
		},
	}
	flags.register(command.Flags())
	return command
}

func newTenantLimitCommand(g *globals) *cobra.Command {
	var flags limitFlags
	command := &cobra.Command{
		Use:   "limit TENANT",
		Short: "Change those of a tenant's limits that are given",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				found, err := client.ListTenants(ctx, &control.ListTenantsRequest{Tenant: args[0]})
				if err != nil {
					return callError{"limiting " + args[0], err}
				}
				limits := &control.TenantLimits{}
				if len(found.GetTenants()) > 0 {
					limits = found.GetTenants()[0].GetLimits()
				}
				if err := flags.apply(cmd.Flags(), limits); err != nil {
					return err
				}
				if _, err := client.UpdateTenant(ctx, &control.UpdateTenantRequest{Tenant: args[0], Limits: limits}); err != nil {
					return callError{"limiting " + args[0], err}
				}
				return nil
			})
		},
	}
	flags.register(command.Flags())
	return command
}

func newTenantStateCommand(g *globals, verb, short string, disabled bool) *cobra.Command {
	return &cobra.Command{
		Use:   verb + " TENANT",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				if _, err := client.UpdateTenant(ctx, &control.UpdateTenantRequest{Tenant: args[0], Disabled: &disabled}); err != nil {
					return callError{verb + " " + args[0], err}
				}
				return nil
			})
		},
	}
}

func newRotateCommand(g *globals) *cobra.Command {
	var grace time.Duration
	command := &cobra.Command{
		Use:   "rotate TENANT",
		Short: "Make a new API key for a tenant and end all that it had; the key is shown once",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				response, err := client.RotateKeys(ctx, &control.RotateKeysRequest{Tenant: args[0], Grace: durationpb.New(grace)})
				if err != nil {
					return callError{"rotating the keys of " + args[0], err}
				}
				fmt.Fprintln(cmd.OutOrStdout(), response.GetKey())
				return nil
			})
		},
	}
	command.Flags().DurationVar(&grace, "grace", 0, "how long the earlier keys go on")
	return command
}
