package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"sluice/cmd/sluice/doctor"
)

func newDoctorCommand(g *globals) *cobra.Command {
	var output *string
	command := &cobra.Command{
		Use:   "doctor",
		Short: "Say what this host lacks for the daemon, and what mends it",
		Long: "Examines this host for what the daemon needs with its configuration: kernel, cgroups, containerd, drivers, the confinement\n" +
			"of workers, room for sockets and files. Ends with 0 if nothing is missing; warnings alone do not count.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var flags serveFlags
			if _, err := loadSettings(g, daemonSettings(&flags), cmd.Flags()); err != nil {
				return err
			}
			if err := flags.locate(g); err != nil {
				return err
			}
			findings := doctor.Examine(cmd.Context(), doctor.Host{
				StateFolder: flags.stateFolder, Containers: flags.sandbox == sandboxContainerd, ContainerdAddress: flags.containerdAddress,
				WorkerPath: flags.worker, ShimPath: flags.shim, Running: probeDaemon(flags.in(socketName)) == nil,
				Addresses: slices.DeleteFunc([]string{flags.listen, flags.httpListen, flags.metricsListen}, func(address string) bool { return address == "" }),
			})
			var rows [][]string
			for _, f := range findings {
				rows = append(rows, []string{f.Check, string(f.Status), f.Detail})
			}
			w := cmd.OutOrStdout()
			if err := printList(w, *output, findings, "CHECK STATUS FOUND", rows); err != nil {
				return err
			}
			if *output == formatTable {
				for _, f := range findings {
					if f.Fix != "" {
						fmt.Fprintf(w, "\nto mend %s:\n  %s\n", f.Check, f.Fix)
					}
				}
			}
			if slices.ContainsFunc(findings, func(f doctor.Finding) bool { return f.Status == doctor.Missing }) {
				return exitError{exitFailed}
			}
			return nil
		},
	}
	output = addOutputFlag(command)
	return command
}
