//! What the control plane and an agent say to each other (ACS and TCS messages).
