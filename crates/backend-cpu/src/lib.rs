//! The operations of finetone-backend in f32 on the machine's processor.
