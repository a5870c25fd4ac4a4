// Package lease shares the shards of Kinesis streams among workers, by leases
// in a DynamoDB table of the Kinesis Client Library's (KCL 2.x) layout. It
// knows shards by their names and parents only; it reads no stream.
//
// A worker holds a lease while it raises the row's leaseCounter each
// RenewEvery. The others see the counter stand still for FailoverTime on
// their own clocks and take the lease. Its holder stops believing in it
// sooner: at nine tenths of FailoverTime after the start of the last renewal
// that succeeded, without waiting for an answer. So at no time do two workers
// believe to hold one lease, as long as their processes run; a process that
// was stopped and wakes again is refused by the table, since every write is
// conditional on owner and counter. What a holder writes elsewhere it must
// fence there.
//
// docs/adr/0005-leases.md has the rules, and why.
package lease
