//! Run file to trained run: the loop, schedules, parameter groups, checkpoints.
