// Package leasetest is as much of DynamoDB as the lease coordinator uses, for
// tests: a DB in memory, reached through Client (in the same process, also in
// a testing/synctest bubble) or through Handler (HTTP, by the AWS SDK's client).
//
// It knows tables with a hash key that is a string; CreateTable,
// DescribeTable, PutItem, GetItem, UpdateItem (SET, REMOVE), DeleteItem and
// Scan with pages; conditions of comparisons, attribute_exists,
// attribute_not_exists, AND, OR, NOT. Whatever else is asked of it is refused
// as DynamoDB refuses what is wrong.
package leasetest
